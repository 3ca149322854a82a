//! A neutral object server for races on loopback, standard library only.
//!
//!     server ROOT PORT SYNTHETIC_KEYS
//!
//! Every folder of ROOT is a bucket, addressed path-style, in the dialects of S3 and OSS at once.
//! Signatures are not looked at; the client is what is measured, so everything here is as cheap as
//! it can be: one thread a connection, sendfile(2) for large objects, memory for small ones, bodies
//! of uploads thrown away by the kernel. CRC-64 headers are always sent and always true: those of
//! downloads are computed when a bucket is loaded, those of uploads in a round that is not timed.
//! The bucket "synthetic" exists in listings only. `routes::control` lists what a race can ask.
//! Builds with rustc 1.63 (Debian 12) and later.

mod crc64;
mod dates;
mod http;
mod listing;
mod routes;
mod store;

use std::io::Write;
use std::net::TcpListener;
use std::sync::Arc;
use std::thread;

fn main() -> std::io::Result<()> {
    let words: Vec<String> = std::env::args().collect();
    let (root, port, synthetic) = match words.as_slice() {
        [_, root, port, synthetic] => (root, port, synthetic),
        _ => {
            eprintln!("usage: server ROOT PORT SYNTHETIC_KEYS");
            std::process::exit(1);
        }
    };
    let synthetic = synthetic.parse().unwrap_or(0);
    let store = Arc::new(store::Store::new(root.into(), synthetic));
    let listener = TcpListener::bind(format!("127.0.0.1:{port}"))?;
    println!("{}", listener.local_addr()?.port());
    std::io::stdout().flush()?;
    for stream in listener.incoming() {
        let connection = http::Connection::new(stream?)?;
        let store = store.clone();
        thread::Builder::new()
            .stack_size(256 << 10)
            .spawn(move || {
                // A client that breaks off is the client's affair: its run shows it.
                let _ = routes::serve(connection, &store);
            })?;
    }
    Ok(())
}
