//! Which request gets which reply: objects, uploads, listings, and the race's own control.

use std::fs::File;
use std::io;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::Duration;

use crate::http::{head, Connection, Framing, Request, Sink};
use crate::store::{etag, manifest, Object, Piece, Profile, Store};
use crate::{dates, listing};

const XML: &str = "Content-Type: application/xml\r\n";
const NO_UPLOAD: &[u8] = b"<Error><Code>NoSuchUpload</Code></Error>";
const CONTROL: &str = "_control";

/// Serves one connection until the client hangs up or asks for the end.
pub fn serve(mut connection: Connection, store: &Store) -> io::Result<()> {
    while let Some(request) = connection.request()? {
        let path = request.path.trim_start_matches('/');
        let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
        if bucket == CONTROL {
            control(&mut connection, store, key)?;
        } else {
            store.counts.requests.fetch_add(1, Relaxed);
            answer(&mut connection, store, &request, bucket, key)?;
        }
        if request.close {
            break;
        }
    }
    Ok(())
}

/// Every request takes the latency that was asked for, after its body and before its reply.
fn delay(store: &Store) {
    let latency_us = store.latency_us.load(Relaxed);
    if latency_us > 0 {
        thread::sleep(Duration::from_micros(latency_us));
    }
}

fn answer(
    connection: &mut Connection,
    store: &Store,
    request: &Request,
    bucket: &str,
    key: &str,
) -> io::Result<()> {
    if request.method == "PUT" && !key.is_empty() {
        return put(connection, store, request, bucket, key);
    }
    let mut sink = Sink::Discard { size: 0 };
    connection.receive(request, &mut sink)?;
    delay(store);
    match (request.method.as_str(), key.is_empty()) {
        ("GET", true) => bucket_document(connection, store, request, bucket),
        ("GET", false) if request.has("uploadId") => parts(connection, store, request, bucket, key),
        ("GET" | "HEAD", false) => get(connection, store, request, bucket, key),
        ("HEAD" | "PUT", true) => connection.reply("200 OK", "", b""),
        ("POST", _) => post(connection, store, request, bucket, key),
        ("DELETE", _) => {
            store.counts.writes.fetch_add(1, Relaxed);
            connection.write(b"HTTP/1.1 204 No Content\r\nx-oss-request-id: 5C1B138A\r\n\r\n")
        }
        _ => connection.reply("405 Method Not Allowed", "", b""),
    }
}

fn bucket_document(
    connection: &mut Connection,
    store: &Store,
    request: &Request,
    bucket: &str,
) -> io::Result<()> {
    let body = if bucket.is_empty() {
        "<ListAllMyBucketsResult><Owner><ID>1</ID></Owner><Buckets></Buckets>\
         </ListAllMyBucketsResult>"
            .to_string()
    } else if request.has("location") {
        "<LocationConstraint>us-east-1</LocationConstraint>".to_string()
    } else if request.has("versioning") {
        "<VersioningConfiguration></VersioningConfiguration>".to_string()
    } else if request.has("uploads") {
        format!(
            "<ListMultipartUploadsResult><Bucket>{bucket}</Bucket>\
             <IsTruncated>false</IsTruncated></ListMultipartUploadsResult>"
        )
    } else {
        store.counts.listings.fetch_add(1, Relaxed);
        listing::page(store, bucket, request)
    };
    connection.reply("200 OK", XML, body.as_bytes())
}

fn get(
    connection: &mut Connection,
    store: &Store,
    request: &Request,
    bucket: &str,
    key: &str,
) -> io::Result<()> {
    let found = store.object(bucket, key).or_else(|| {
        let Piece { size, crc } = store.received_object(bucket, key)?;
        Some(Object {
            size,
            modified: dates::now(),
            crc,
            bytes: None,
        })
    });
    let object = if let Some(object) = found {
        object
    } else {
        let body: &[u8] = b"<Error><Code>NoSuchKey</Code><Message>No such key.</Message></Error>";
        return match request.method.as_str() {
            "HEAD" => connection.write(head("404 Not Found", "", 0).as_bytes()),
            _ => connection.reply("404 Not Found", XML, body),
        };
    };
    let (start, length, status, range) = span(request, object.size);
    let (etag, modified) = (object.etag(), dates::http(object.modified));
    let lines = format!(
        "Content-Type: application/octet-stream\r\nAccept-Ranges: bytes\r\nETag: \"{etag}\"\r\n\
         Last-Modified: {modified}\r\nx-oss-object-type: Normal\r\n\
         x-oss-storage-class: Standard\r\nx-oss-hash-crc64ecma: {}\r\n{range}",
        object.crc
    );
    let top = head(status, &lines, length);
    if request.method == "HEAD" {
        return connection.write(top.as_bytes());
    }
    store.counts.reads.fetch_add(1, Relaxed);
    match &object.bytes {
        Some(bytes) => {
            let mut reply = top.into_bytes();
            reply.extend_from_slice(&bytes[start as usize..(start + length) as usize]);
            connection.write(&reply)
        }
        None => {
            let file = File::open(store.root.join(bucket).join(key))?;
            connection.reply_file(&top, &file, start, length)
        }
    }
}

/// What an upload has; all on one page, as no race has more parts than fit there.
fn parts(
    connection: &mut Connection,
    store: &Store,
    request: &Request,
    bucket: &str,
    key: &str,
) -> io::Result<()> {
    let upload = request.parameter("uploadId").unwrap_or("");
    let parts = match store.parts(upload) {
        Some(parts) => parts,
        None => return connection.reply("404 Not Found", XML, NO_UPLOAD),
    };
    let now = dates::iso(dates::now());
    let mut body = format!(
        "<ListPartsResult><Bucket>{bucket}</Bucket><Key>{key}</Key><UploadId>{upload}</UploadId>\
         <MaxParts>10000</MaxParts><IsTruncated>false</IsTruncated>\
         <NextPartNumberMarker>0</NextPartNumberMarker>"
    );
    for (number, piece) in parts {
        let etag = etag(piece.crc, piece.size);
        body.push_str(&format!(
            "<Part><PartNumber>{number}</PartNumber><LastModified>{now}</LastModified>\
             <ETag>&quot;{etag}&quot;</ETag><HashCrc64ecma>{}</HashCrc64ecma>\
             <Size>{}</Size></Part>",
            piece.crc, piece.size
        ));
    }
    body.push_str("</ListPartsResult>");
    connection.reply("200 OK", XML, body.as_bytes())
}

/// Start and length of what a request wants, with the status and the Content-Range line.
fn span(request: &Request, size: u64) -> (u64, u64, &'static str, String) {
    let (start, stop) = match request.range {
        Some((Some(first), last)) if first < size => {
            (first, last.map_or(size, |last| size.min(last + 1)))
        }
        Some((None, Some(suffix))) if size > 0 => (size.saturating_sub(suffix), size),
        _ => return (0, size, "200 OK", String::new()),
    };
    let line = format!("Content-Range: bytes {start}-{}/{size}\r\n", stop - 1);
    (start, stop - start, "206 Partial Content", line)
}

fn put(
    connection: &mut Connection,
    store: &Store,
    request: &Request,
    bucket: &str,
    key: &str,
) -> io::Result<()> {
    store.counts.writes.fetch_add(1, Relaxed);
    let part = request
        .parameter("partNumber")
        .and_then(|number| number.parse().ok())
        .unwrap_or(0);
    let piece = match body(connection, store, request, key, part)? {
        Some(piece) => piece,
        None => {
            return connection.reply("400 Bad Request", XML, b"<Error><Code>Size</Code></Error>")
        }
    };
    delay(store);
    let kept = match request.parameter("uploadId") {
        Some(upload) => store.keep_part(upload, part, piece),
        None => {
            store.keep(bucket, key, piece);
            true
        }
    };
    if !kept {
        return connection.reply("404 Not Found", XML, NO_UPLOAD);
    }
    let etag = etag(piece.crc, piece.size);
    let lines = format!(
        "ETag: \"{etag}\"\r\nx-oss-hash-crc64ecma: {}\r\n",
        piece.crc
    );
    connection.reply("200 OK", &lines, b"")
}

/// A body in a learning round is read and its CRC computed. A trusted client's body is thrown away
/// and the CRC of the round before given for it, so that the server costs next to nothing; `None`
/// if it then is of another size.
fn body(
    connection: &mut Connection,
    store: &Store,
    request: &Request,
    key: &str,
    part: u32,
) -> io::Result<Option<Piece>> {
    let expected = store
        .expected(key, part)
        .filter(|piece| match request.framing {
            Framing::Length(length) => length == piece.size,
            Framing::Frames => true,
        });
    let mut sink = match expected {
        Some(_) => Sink::Discard { size: 0 },
        None => Sink::Digest { size: 0, crc: 0 },
    };
    connection.receive(request, &mut sink)?;
    Ok(match (sink, expected) {
        (Sink::Digest { size, crc }, _) => {
            store.learn(key, part, Piece { size, crc });
            Some(Piece { size, crc })
        }
        (Sink::Discard { size }, expected) => expected.filter(|piece| piece.size == size),
    })
}

fn post(
    connection: &mut Connection,
    store: &Store,
    request: &Request,
    bucket: &str,
    key: &str,
) -> io::Result<()> {
    store.counts.writes.fetch_add(1, Relaxed);
    if request.has("uploads") {
        let body = format!(
            "<InitiateMultipartUploadResult><Bucket>{bucket}</Bucket><Key>{key}</Key>\
             <UploadId>{}</UploadId></InitiateMultipartUploadResult>",
            store.begin_upload()
        );
        return connection.reply("200 OK", XML, body.as_bytes());
    }
    let upload = match request.parameter("uploadId") {
        Some(upload) => upload,
        None => return connection.reply("200 OK", XML, b"<DeleteResult></DeleteResult>"),
    };
    let piece = match store.complete(upload) {
        Some(piece) => piece,
        None => return connection.reply("404 Not Found", XML, NO_UPLOAD),
    };
    store.keep(bucket, key, piece);
    let lines = format!("{XML}x-oss-hash-crc64ecma: {}\r\n", piece.crc);
    let body = format!(
        "<CompleteMultipartUploadResult><Location>http://race/{key}</Location>\
         <Bucket>{bucket}</Bucket><Key>{key}</Key><ETag>&quot;{}&quot;</ETag>\
         </CompleteMultipartUploadResult>",
        etag(piece.crc, piece.size)
    );
    connection.reply("200 OK", &lines, body.as_bytes())
}

/// `load/BUCKET`, `manifest/BUCKET`, `received`, `forget`, `counts`, `latency/MICROSECONDS`, `learn/PROFILE`,
/// `trust/PROFILE`: what the race asks between its rounds.
fn control(connection: &mut Connection, store: &Store, command: &str) -> io::Result<()> {
    let (verb, argument) = command.split_once('/').unwrap_or((command, ""));
    let body = match verb {
        "load" => manifest(&*store.load(argument)?),
        "manifest" => manifest(&store.tree(argument)),
        "received" => store.received_manifest(),
        "forget" => {
            store.forget();
            String::new()
        }
        "counts" => {
            let count = |counter: &std::sync::atomic::AtomicU64| counter.load(Relaxed);
            let counts = &store.counts;
            format!(
                "{{\"requests\": {}, \"reads\": {}, \"writes\": {}, \"listings\": {}}}",
                count(&counts.requests),
                count(&counts.reads),
                count(&counts.writes),
                count(&counts.listings)
            )
        }
        "latency" => {
            store
                .latency_us
                .store(argument.parse().unwrap_or(0), Relaxed);
            String::new()
        }
        "learn" | "trust" => {
            let name = argument.to_string();
            *store.profile.write().unwrap() = Profile {
                name,
                trusted: verb == "trust",
            };
            String::new()
        }
        _ => return connection.reply("404 Not Found", "", b""),
    };
    connection.reply("200 OK", "Content-Type: text/plain\r\n", body.as_bytes())
}
