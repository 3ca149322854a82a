//! ListObjects and ListObjectsV2, in the XML that both dialects share.

use std::ops::Bound;

use crate::dates;
use crate::http::Request;
use crate::store::{Object, Store};

struct Page<'a> {
    prefix: &'a str,
    delimiter: &'a str,
    after: &'a str,
    limit: usize,
    quoted: bool,
    contents: String,
    prefixes: String,
    count: usize,
    last: String,
    truncated: bool,
}

impl Page<'_> {
    fn written(&self, key: &str) -> String {
        if !self.quoted {
            return key
                .replace('&', "&amp;")
                .replace('<', "&lt;")
                .replace('>', "&gt;");
        }
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~/".contains(&byte);
        let letters = key.bytes().map(|byte| match plain(byte) {
            true => char::from(byte).to_string(),
            false => format!("%{byte:02X}"),
        });
        letters.collect()
    }

    /// False when the page is full.
    fn add(&mut self, key: &str, object: &Object) -> bool {
        if self.count == self.limit {
            self.truncated = true;
            return false;
        }
        let (key_text, etag) = (self.written(key), object.etag());
        self.contents.push_str(&format!(
            "<Contents><Key>{key_text}</Key><LastModified>{}</LastModified>\
             <ETag>&quot;{etag}&quot;</ETag><Type>Normal</Type><Size>{}</Size>\
             <StorageClass>Standard</StorageClass><Owner><ID>1234567890123456</ID>\
             <DisplayName>1234567890123456</DisplayName></Owner></Contents>",
            dates::iso(object.modified),
            object.size,
        ));
        self.count += 1;
        self.last = key.to_string();
        true
    }

    /// False when the page is full; a prefix that the page before ended with is not repeated.
    fn add_prefix(&mut self, common: &str) -> bool {
        if common == self.last || common == self.after {
            return true;
        }
        if self.count == self.limit {
            self.truncated = true;
            return false;
        }
        let text = self.written(common);
        self.prefixes.push_str(&format!(
            "<CommonPrefixes><Prefix>{text}</Prefix></CommonPrefixes>"
        ));
        self.count += 1;
        self.last = common.to_string();
        true
    }

    fn fill(&mut self, store: &Store, bucket: &str) {
        let tree = store.tree(bucket);
        let from = match self.after < self.prefix {
            true => Bound::Included(self.prefix.to_string()),
            false => Bound::Excluded(self.after.to_string()),
        };
        for (key, object) in tree.range((from, Bound::Unbounded)) {
            let rest = match key.strip_prefix(self.prefix) {
                Some(rest) => rest,
                None => break,
            };
            let cut = if self.delimiter.is_empty() {
                None
            } else {
                rest.find(self.delimiter)
            };
            let room = match cut {
                None => self.add(key, object),
                Some(at) => self.add_prefix(&key[..self.prefix.len() + at + self.delimiter.len()]),
            };
            if !room {
                break;
            }
        }
    }
}

pub fn page(store: &Store, bucket: &str, request: &Request) -> String {
    let second_version = request.parameter("list-type") == Some("2");
    let text = |name: &str| request.parameter(name).unwrap_or("");
    let after = match (second_version, text("continuation-token")) {
        (false, _) => text("marker"),
        (true, "") => text("start-after"),
        (true, token) => token,
    };
    let limit = text("max-keys").parse().unwrap_or(1000).min(1000);
    let mut page = Page {
        prefix: text("prefix"),
        delimiter: text("delimiter"),
        after,
        limit,
        quoted: text("encoding-type") == "url",
        contents: String::with_capacity(400_000),
        prefixes: String::new(),
        count: 0,
        last: String::new(),
        truncated: false,
    };
    page.fill(store, bucket);
    document(&page, bucket, second_version)
}

fn document(page: &Page, bucket: &str, second_version: bool) -> String {
    let next = if page.truncated {
        page.written(&page.last)
    } else {
        String::new()
    };
    let position = match (second_version, page.truncated) {
        (true, true) => format!(
            "<KeyCount>{}</KeyCount><NextContinuationToken>{next}</NextContinuationToken>",
            page.count
        ),
        (true, false) => format!("<KeyCount>{}</KeyCount>", page.count),
        (false, true) => format!("<Marker></Marker><NextMarker>{next}</NextMarker>"),
        (false, false) => "<Marker></Marker>".to_string(),
    };
    let encoding = if page.quoted {
        "<EncodingType>url</EncodingType>"
    } else {
        ""
    };
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ListBucketResult><Name>{bucket}</Name>\
         <Prefix>{}</Prefix><MaxKeys>{}</MaxKeys><Delimiter>{}</Delimiter>\
         <IsTruncated>{}</IsTruncated>{encoding}{position}{}{}</ListBucketResult>",
        page.written(page.prefix),
        page.limit,
        page.written(page.delimiter),
        page.truncated,
        page.contents,
        page.prefixes,
    )
}
