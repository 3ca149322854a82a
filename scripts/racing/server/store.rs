//! What the server holds: the buckets it serves, the uploads it received, and its counters.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, RwLock};

use crate::crc64;

/// Up to this size an object is served from memory: no client waits for the server's open().
pub const SMALL: u64 = 64 << 10;

/// Name of the bucket that exists in listings only.
const SYNTHETIC: &str = "synthetic";
/// 2025-01-02T03:04:05Z, when every synthetic object was written.
const SYNTHETIC_TIME: i64 = 1_735_787_045;

#[derive(Clone)]
pub struct Object {
    pub size: u64,
    pub modified: i64,
    pub crc: u64,
    pub bytes: Option<Arc<[u8]>>,
}

impl Object {
    /// Not shaped like an MD5, so that no client hashes a whole download to compare it.
    pub fn etag(&self) -> String {
        etag(self.crc, self.size)
    }
}

pub fn etag(crc: u64, size: u64) -> String {
    format!("{crc:016X}{size:016X}-1")
}

pub type Tree = BTreeMap<String, Object>;

/// One body that a client sent: a whole object (part 0) or a part.
#[derive(Clone, Copy)]
pub struct Piece {
    pub size: u64,
    pub crc: u64,
}

/// Whose bodies are received, and whether they are read or known from a round before.
#[derive(Clone, Default)]
pub struct Profile {
    pub name: String,
    pub trusted: bool,
}

#[derive(Default)]
pub struct Counts {
    pub requests: AtomicU64,
    pub reads: AtomicU64,
    pub writes: AtomicU64,
    pub listings: AtomicU64,
}

pub struct Store {
    pub root: PathBuf,
    pub counts: Counts,
    pub latency_us: AtomicU64,
    pub profile: RwLock<Profile>,
    trees: RwLock<HashMap<String, Arc<Tree>>>,
    received: Mutex<BTreeMap<String, Piece>>,
    uploads: Mutex<HashMap<String, BTreeMap<u32, Piece>>>,
    known: Mutex<HashMap<String, Piece>>,
    next_upload: AtomicU64,
}

impl Store {
    pub fn new(root: PathBuf, synthetic: usize) -> Self {
        let made_up = (0..synthetic).map(synthetic_object).collect();
        let trees = HashMap::from([(SYNTHETIC.to_string(), Arc::new(made_up))]);
        Self {
            root,
            counts: Counts::default(),
            latency_us: AtomicU64::new(0),
            profile: RwLock::default(),
            trees: RwLock::new(trees),
            received: Mutex::default(),
            uploads: Mutex::default(),
            known: Mutex::default(),
            next_upload: AtomicU64::new(1),
        }
    }

    /// Reads a bucket's folder: sizes, times and the CRC of every object.
    pub fn load(&self, bucket: &str) -> io::Result<Arc<Tree>> {
        let mut tree = Tree::new();
        read_folder(&self.root.join(bucket), "", &mut tree)?;
        let tree = Arc::new(tree);
        self.trees
            .write()
            .unwrap()
            .insert(bucket.to_string(), tree.clone());
        Ok(tree)
    }

    /// The bucket as it was loaded; empty if it never was.
    pub fn tree(&self, bucket: &str) -> Arc<Tree> {
        self.trees
            .read()
            .unwrap()
            .get(bucket)
            .cloned()
            .unwrap_or_default()
    }

    pub fn object(&self, bucket: &str, key: &str) -> Option<Object> {
        self.trees.read().unwrap().get(bucket)?.get(key).cloned()
    }

    pub fn received_object(&self, bucket: &str, key: &str) -> Option<Piece> {
        self.received
            .lock()
            .unwrap()
            .get(&format!("{bucket}/{key}"))
            .copied()
    }

    /// What the current profile sent under this name before, if it may be trusted to send again.
    pub fn expected(&self, key: &str, part: u32) -> Option<Piece> {
        let profile = self.profile.read().unwrap();
        let name = format!("{} {part} {key}", profile.name);
        if profile.trusted {
            return self.known.lock().unwrap().get(&name).copied();
        }
        None
    }

    pub fn learn(&self, key: &str, part: u32, piece: Piece) {
        let name = format!("{} {part} {key}", self.profile.read().unwrap().name);
        self.known.lock().unwrap().insert(name, piece);
    }

    pub fn keep(&self, bucket: &str, key: &str, piece: Piece) {
        self.received
            .lock()
            .unwrap()
            .insert(format!("{bucket}/{key}"), piece);
    }

    pub fn begin_upload(&self) -> String {
        let id = format!("{:032X}", self.next_upload.fetch_add(1, Relaxed));
        self.uploads
            .lock()
            .unwrap()
            .insert(id.clone(), BTreeMap::new());
        id
    }

    /// False if there is no such upload.
    pub fn keep_part(&self, upload: &str, part: u32, piece: Piece) -> bool {
        let mut uploads = self.uploads.lock().unwrap();
        uploads
            .get_mut(upload)
            .map(|parts| parts.insert(part, piece))
            .is_some()
    }

    /// The parts of an upload, in order; `None` if there is no such upload.
    pub fn parts(&self, upload: &str) -> Option<BTreeMap<u32, Piece>> {
        self.uploads.lock().unwrap().get(upload).cloned()
    }

    /// Puts the parts together, in order; `None` if there is no such upload.
    pub fn complete(&self, upload: &str) -> Option<Piece> {
        let parts = self.uploads.lock().unwrap().remove(upload)?;
        let empty = Piece { size: 0, crc: 0 };
        Some(parts.values().fold(empty, |whole, part| Piece {
            size: whole.size + part.size,
            crc: crc64::combine(whole.crc, part.crc, part.size),
        }))
    }

    /// Forgets every upload and count.
    pub fn forget(&self) {
        self.received.lock().unwrap().clear();
        self.uploads.lock().unwrap().clear();
        let counts = &self.counts;
        for count in [
            &counts.requests,
            &counts.reads,
            &counts.writes,
            &counts.listings,
        ] {
            count.store(0, Relaxed);
        }
    }

    /// A line for each upload: CRC, size, bucket/key.
    pub fn received_manifest(&self) -> String {
        let received = self.received.lock().unwrap();
        let lines = received
            .iter()
            .map(|(name, piece)| line(piece.crc, piece.size, name));
        lines.collect()
    }
}

/// A line for each object: CRC, size, key.
pub fn manifest(tree: &Tree) -> String {
    tree.iter()
        .map(|(key, object)| line(object.crc, object.size, key))
        .collect()
}

fn line(crc: u64, size: u64, name: &str) -> String {
    format!("{crc:016x} {size} {name}\n")
}

/// Key and object of a listing that is read only; keys ascend with their index.
fn synthetic_object(index: usize) -> (String, Object) {
    let key = format!("d{:04}/f{index:08}", index / 1000);
    let object = Object {
        size: (index % 65_536) as u64,
        modified: SYNTHETIC_TIME,
        crc: index as u64,
        bytes: None,
    };
    (key, object)
}

fn read_folder(base: &Path, below: &str, tree: &mut Tree) -> io::Result<()> {
    for entry in fs::read_dir(base.join(below))? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let key = if below.is_empty() {
            name
        } else {
            format!("{below}/{name}")
        };
        let metadata = entry.metadata()?;
        if metadata.is_dir() {
            read_folder(base, &key, tree)?;
        } else {
            let object = read_object(&entry.path(), metadata.len(), metadata.mtime())?;
            tree.insert(key, object);
        }
    }
    Ok(())
}

fn read_object(path: &Path, size: u64, modified: i64) -> io::Result<Object> {
    if size <= SMALL {
        let bytes: Arc<[u8]> = fs::read(path)?.into();
        let crc = crc64::update(0, &bytes);
        return Ok(Object {
            size,
            modified,
            crc,
            bytes: Some(bytes),
        });
    }
    let mut file = File::open(path)?;
    let mut buffer = vec![0; 1 << 20];
    let mut crc = 0;
    loop {
        match file.read(&mut buffer)? {
            0 => {
                return Ok(Object {
                    size,
                    modified,
                    crc,
                    bytes: None,
                })
            }
            got => crc = crc64::update(crc, &buffer[..got]),
        }
    }
}
