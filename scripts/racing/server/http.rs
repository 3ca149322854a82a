//! HTTP/1.1 on one connection: requests in, replies out, bodies received or thrown away.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Error, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::unix::io::AsRawFd;

use crate::{crc64, dates};

extern "C" {
    fn sendfile(out_fd: i32, in_fd: i32, offset: *mut i64, count: usize) -> isize;
    fn recv(fd: i32, buffer: *mut u8, length: usize, flags: i32) -> isize;
}

/// Linux: the kernel drops what a TCP socket received instead of copying it here.
const MSG_TRUNC: i32 = 0x20;
const SCRATCH: usize = 256 << 10;
/// A longer line of a head is not a client's.
const LINE_LIMIT: u64 = 64 << 10;

pub struct Request {
    pub method: String,
    pub path: String,
    pub query: Vec<(String, String)>,
    pub range: Option<(Option<u64>, Option<u64>)>,
    pub framing: Framing,
    pub close: bool,
    expects_continue: bool,
}

/// How the end of a body is known.
#[derive(Clone, Copy)]
pub enum Framing {
    /// As many bytes as Content-Length says.
    Length(u64),
    /// Transfer-Encoding: chunked, or aws-chunked: frames with their length before each.
    Frames,
}

/// What becomes of a body.
pub enum Sink {
    Discard { size: u64 },
    Digest { size: u64, crc: u64 },
}

impl Request {
    pub fn parameter(&self, name: &str) -> Option<&str> {
        let found = self.query.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }

    pub fn has(&self, name: &str) -> bool {
        self.parameter(name).is_some()
    }

    fn header(&mut self, name: &str, value: &str) {
        match name {
            "content-length" if matches!(self.framing, Framing::Length(_)) => {
                self.framing = Framing::Length(value.parse().unwrap_or(0));
            }
            "transfer-encoding" if value.contains("chunked") => self.framing = Framing::Frames,
            "content-encoding" if value.contains("aws-chunked") => self.framing = Framing::Frames,
            "expect" => self.expects_continue = true,
            "connection" => self.close = value.eq_ignore_ascii_case("close"),
            "range" => {
                let ends = value
                    .strip_prefix("bytes=")
                    .and_then(|ends| ends.split_once('-'));
                self.range = ends.map(|(from, to)| (from.parse().ok(), to.parse().ok()));
            }
            _ => {}
        }
    }
}

pub struct Connection {
    reader: BufReader<TcpStream>,
    scratch: Vec<u8>,
}

impl Connection {
    pub fn new(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        let reader = BufReader::with_capacity(64 << 10, stream);
        Ok(Self {
            reader,
            scratch: vec![0; SCRATCH],
        })
    }

    /// The next request's head; `None` when the client has hung up.
    pub fn request(&mut self) -> io::Result<Option<Request>> {
        let first = self.line()?;
        let mut words = first.split(' ');
        let (method, target) = match (words.next(), words.next()) {
            (Some(method), Some(target)) => (method, target),
            _ => return Ok(None),
        };
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let pairs = query.split('&').filter(|pair| !pair.is_empty());
        let mut request = Request {
            method: method.to_string(),
            path: unquoted(path, false),
            query: pairs
                .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
                .map(|(key, value)| (unquoted(key, true), unquoted(value, true)))
                .collect(),
            range: None,
            framing: Framing::Length(0),
            close: false,
            expects_continue: false,
        };
        loop {
            let line = self.line()?;
            if line.is_empty() {
                return Ok(Some(request));
            }
            if let Some((name, value)) = line.split_once(':') {
                request.header(&name.to_ascii_lowercase(), value.trim());
            }
        }
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = Vec::with_capacity(128);
        (&mut self.reader)
            .take(LINE_LIMIT)
            .read_until(b'\n', &mut line)?;
        while matches!(line.last(), Some(b'\r' | b'\n')) {
            line.pop();
        }
        String::from_utf8(line).map_err(|_| Error::from(ErrorKind::InvalidData))
    }

    /// Reads the whole body into the sink; a client that waits for "100 Continue" gets it first.
    pub fn receive(&mut self, request: &Request, sink: &mut Sink) -> io::Result<()> {
        if request.expects_continue {
            self.write(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        match request.framing {
            Framing::Length(length) => self.pour(length, sink),
            Framing::Frames => loop {
                let head = self.line()?;
                let length = head.split(';').next().unwrap_or("").trim();
                let length = u64::from_str_radix(length, 16)
                    .map_err(|_| Error::from(ErrorKind::InvalidData))?;
                if length == 0 {
                    while !self.line()?.is_empty() {} // trailers
                    return Ok(());
                }
                self.pour(length, sink)?;
                self.line()?;
            },
        }
    }

    fn pour(&mut self, length: u64, sink: &mut Sink) -> io::Result<()> {
        match sink {
            Sink::Discard { size } => {
                *size += length;
                self.skip(length)
            }
            Sink::Digest { size, crc } => {
                *size += length;
                let mut left = length;
                while left > 0 {
                    let wanted = left.min(SCRATCH as u64) as usize;
                    let got = self.reader.read(&mut self.scratch[..wanted])?;
                    if got == 0 {
                        return Err(ErrorKind::UnexpectedEof.into());
                    }
                    *crc = crc64::update(*crc, &self.scratch[..got]);
                    left -= got as u64;
                }
                Ok(())
            }
        }
    }

    fn skip(&mut self, length: u64) -> io::Result<()> {
        let buffered = length.min(self.reader.buffer().len() as u64);
        self.reader.consume(buffered as usize);
        let mut left = length - buffered;
        let socket = self.reader.get_ref().as_raw_fd();
        while left > 0 {
            let wanted = left.min(4 << 20) as usize;
            // SAFETY: with MSG_TRUNC on a TCP socket the kernel writes nothing to the buffer.
            let got = unsafe { recv(socket, self.scratch.as_mut_ptr(), wanted, MSG_TRUNC) };
            if got <= 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            left -= got as u64;
        }
        Ok(())
    }

    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.reader.get_mut().write_all(bytes)
    }

    /// A whole reply; `headers` are complete lines.
    pub fn reply(&mut self, status: &str, headers: &str, body: &[u8]) -> io::Result<()> {
        let mut reply = head(status, headers, body.len() as u64).into_bytes();
        reply.extend_from_slice(body);
        self.write(&reply)
    }

    /// A reply whose body is `length` bytes of the file from `start`, never copied here.
    pub fn reply_file(
        &mut self,
        head: &str,
        file: &File,
        start: u64,
        length: u64,
    ) -> io::Result<()> {
        self.write(head.as_bytes())?;
        let socket = self.reader.get_ref().as_raw_fd();
        let mut offset = start as i64;
        let mut left = length;
        while left > 0 {
            let wanted = left.min(8 << 20) as usize;
            // SAFETY: both descriptors are open, the offset is ours.
            let sent = unsafe { sendfile(socket, file.as_raw_fd(), &mut offset, wanted) };
            if sent <= 0 {
                return Err(Error::last_os_error());
            }
            left -= sent as u64;
        }
        Ok(())
    }
}

/// The head of a reply; `headers` are complete lines.
pub fn head(status: &str, headers: &str, length: u64) -> String {
    let date = dates::http(dates::now());
    format!(
        "HTTP/1.1 {status}\r\nServer: race\r\nDate: {date}\r\nContent-Length: {length}\r\n\
         x-oss-request-id: 5C1B138A109F4E405B2D0001\r\nx-amz-request-id: 5C1B138A109F4E40\r\n\
         {headers}\r\n"
    )
}

fn unquoted(text: &str, plus_is_space: bool) -> String {
    let bytes = text.as_bytes();
    let mut plain = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let escape = if bytes[at] == b'%' {
            text.get(at + 1..at + 3)
        } else {
            None
        };
        match escape.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                plain.push(byte);
                at += 3;
            }
            None => {
                let space = plus_is_space && bytes[at] == b'+';
                plain.push(if space { b' ' } else { bytes[at] });
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&plain).into_owned()
}
