//! Downloads, from servers on the loopback interface.

use std::io::{BufRead, BufReader};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use flate2::{Compression, write::GzEncoder};
use tempfile::TempDir;

use std::io::Write;

use super::*;

const CONTENT: &[u8] = b"what the file should hold";
const FILE: Pinned = Pinned {
    name: "train-images-idx3-ubyte",
    length: CONTENT.len() as u64,
    // printf 'what the file should hold' | sha256sum
    sha256: "1d585bd41e0ce0ab90571771ce536ce9e09ff5c7af19c3e450446790d441636a",
};

/// A server that gives the same answer to every request, and the paths it was asked for. Its
/// thread ends with the process.
struct Mirror {
    url: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Mirror {
    fn with_answer(answer: Vec<u8>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/mnist/", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&asked);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let path = respond(stream.unwrap(), &answer).unwrap();
                log.lock().unwrap().push(path);
            }
        });
        Self { url, asked }
    }

    /// Answers 200 with this body.
    fn with_body(body: &[u8]) -> Self {
        Self::with_answer(ok(body, body.len()))
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

fn ok(body: &[u8], length: usize) -> Vec<u8> {
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
    [head.as_bytes(), body].concat()
}

/// Reads one request, gives its path, writes the answer and closes.
fn respond(mut stream: TcpStream, answer: &[u8]) -> io::Result<String> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let request = lines.next().unwrap()?;
    lines.find(|line| line.as_ref().is_ok_and(String::is_empty));
    stream.write_all(answer)?;
    Ok(request.split(' ').nth(1).unwrap().to_owned())
}

/// The address of a port at which nobody listens.
fn closed_port() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}/", listener.local_addr().unwrap())
}

fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Fetches into `dir`; no proxy of the environment comes between.
fn fetch_into(dir: &Path, mirrors: &[&str]) -> Result<(), DataError> {
    let agent = Agent::config_builder()
        .proxy(None)
        .timeout_per_read(Some(Duration::from_secs(5)))
        .build()
        .new_agent();
    fetch_missing(&agent, dir, &[FILE], mirrors, &mut |_| ())
}

/// What lies in the folder, by name.
fn files(dir: &TempDir) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<_> = fs::read_dir(dir.path())
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap()))
        .collect();
    files.sort();
    files
}

fn good() -> Vec<(String, Vec<u8>)> {
    vec![(FILE.name.to_owned(), CONTENT.to_vec())]
}

/// The failed attempts of a download.
fn attempts(result: Result<(), DataError>) -> Vec<Attempt> {
    match result {
        Err(DataError::Download { attempts, .. }) => attempts.failed,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_file_is_fetched_and_unpacked() {
    let dir = TempDir::new().unwrap();
    let mirror = Mirror::with_body(&packed(CONTENT));
    let deeper = dir.path().join("made/on the way");
    fetch_into(&deeper, &[&mirror.url]).unwrap();
    assert_eq!(fs::read(deeper.join(FILE.name)).unwrap(), CONTENT);
    assert_eq!(mirror.asked(), ["/mnist/train-images-idx3-ubyte.gz"]);
}

/// Some stores unpack on the way.
#[test]
fn a_file_that_arrives_unpacked_is_taken() {
    let dir = TempDir::new().unwrap();
    fetch_into(dir.path(), &[&Mirror::with_body(CONTENT).url]).unwrap();
    assert_eq!(files(&dir), good());
}

#[test]
fn progress_reaches_the_whole_length() {
    let dir = TempDir::new().unwrap();
    let mirror = Mirror::with_body(&packed(CONTENT));
    let agent = Agent::config_builder().proxy(None).build().new_agent();
    let mut last = None;
    let mut progress = |now: Progress<'_>| last = Some((now.file.to_owned(), now.bytes, now.total));
    fetch_missing(&agent, dir.path(), &[FILE], &[&mirror.url], &mut progress).unwrap();
    assert_eq!(last, Some((FILE.name.to_owned(), FILE.length, FILE.length)));
}

#[test]
fn good_files_are_kept_in_every_spelling() {
    for (name, content) in [
        ("train-images-idx3-ubyte", CONTENT.to_vec()),
        ("train-images-idx3-ubyte.gz", packed(CONTENT)),
        ("train-images.idx3-ubyte", CONTENT.to_vec()),
        ("train-images.idx3-ubyte.gz", packed(CONTENT)),
    ] {
        let dir = TempDir::new().unwrap();
        fs::write(dir.path().join(name), &content).unwrap();
        let mirror = Mirror::with_body(&packed(CONTENT));
        fetch_into(dir.path(), &[&mirror.url]).unwrap();
        assert_eq!(mirror.asked(), [""; 0], "{name}");
        assert_eq!(files(&dir), [(name.to_owned(), content)]);
    }
}

#[test]
fn a_broken_file_is_replaced() {
    for broken in
        [&b""[..], b"what the file should hald", b"what the file should hold?", &[0x1f, 0x8b]]
    {
        let dir = TempDir::new().unwrap();
        fs::write(dir.path().join(FILE.name), broken).unwrap();
        fetch_into(dir.path(), &[&Mirror::with_body(&packed(CONTENT)).url]).unwrap();
        assert_eq!(files(&dir), good());
    }
}

#[test]
fn a_new_file_stands_before_a_broken_one_of_another_spelling() {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("train-images-idx3-ubyte.gz"), b"broken").unwrap();
    fetch_into(dir.path(), &[&Mirror::with_body(&packed(CONTENT)).url]).unwrap();
    let found = File::find(dir.path(), FILE.name).unwrap().unwrap();
    assert_eq!(fs::read(found.path).unwrap(), CONTENT);
}

#[test]
fn the_next_mirror_is_asked_after_any_failure() {
    let other = b"what the file should hald";
    let whole = packed(CONTENT);
    let moved = "HTTP/1.1 302 Found\r\nLocation: https://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n";
    let first_mirrors = [
        ("wrong digest", Mirror::with_body(&packed(other))),
        ("404", Mirror::with_answer(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".into())),
        ("cut by the server", Mirror::with_answer(ok(&whole[..20], whole.len()))),
        ("cut on the server", Mirror::with_body(&whole[..20])),
        ("too short", Mirror::with_body(&packed(&CONTENT[1..]))),
        ("too long", Mirror::with_body(&packed(&[0; 1 << 20]))),
        ("endless", Mirror::with_body(&[0; 1 << 20])),
        ("no HTTP", Mirror::with_answer(b"220 mail ready\r\n\r\n".into())),
        ("needs TLS", Mirror::with_answer(moved.into())),
    ];
    for (fault, first) in first_mirrors {
        let dir = TempDir::new().unwrap();
        let second = Mirror::with_body(&whole);
        fetch_into(dir.path(), &[&first.url, &second.url]).unwrap();
        assert_eq!(files(&dir), good(), "{fault}");
        assert_eq!(second.asked().len(), 1, "{fault}");
    }
}

#[test]
fn every_fault_has_its_name_and_leaves_nothing_behind() {
    let dir = TempDir::new().unwrap();
    let failed =
        |mirror: Mirror| attempts(fetch_into(dir.path(), &[&mirror.url])).swap_remove(0).error;
    let whole = packed(CONTENT);
    let error = failed(Mirror::with_body(&packed(b"what the file should hald")));
    assert!(matches!(error, FetchError::Digest { expected, .. } if expected == FILE.sha256));
    let error =
        failed(Mirror::with_answer(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".into()));
    assert!(matches!(error, FetchError::Http(ureq::Error::StatusCode(404))));
    let error = failed(Mirror::with_answer(ok(&whole[..20], whole.len())));
    assert!(matches!(error, FetchError::Body(_)), "{error}");
    let error = failed(Mirror::with_body(&packed(&CONTENT[1..])));
    assert!(matches!(error, FetchError::TooShort { expected: 25, found: 24 }), "{error}");
    let error = failed(Mirror::with_body(&packed(&[0; 1 << 20])));
    assert!(matches!(error, FetchError::TooLong { expected: 25 }), "{error}");
    assert_eq!(files(&dir), []);
}

#[test]
fn offline_it_says_what_to_do() {
    let dir = TempDir::new().unwrap();
    let (first, second) = (closed_port(), closed_port());
    let error = fetch_into(dir.path(), &[&first, &second]).unwrap_err();
    let message = error.to_string();
    let (start, end) = (
        format!("no mirror could be reached: {first}: "),
        format!("; put the four files into {} yourself", dir.path().display()),
    );
    assert!(message.starts_with(&start) && message.ends_with(&end), "{message}");
    assert!(message.contains(&second), "{message}");
    assert_eq!(files(&dir), []);
}

#[test]
fn a_broken_file_stays_when_nothing_better_comes() {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join(FILE.name), b"broken").unwrap();
    let mirror = Mirror::with_body(b"no better");
    assert!(fetch_into(dir.path(), &[&mirror.url]).is_err());
    assert_eq!(files(&dir), [(FILE.name.to_owned(), b"broken".to_vec())]);
}

/// MNIST's own digests, if a folder of it is at hand: nothing is fetched.
#[test]
fn mnist_itself_is_kept() {
    let Ok(dir) = std::env::var("KEEPNET_MNIST_DIR") else { return };
    let agent = Agent::config_builder().proxy(None).build().new_agent();
    fetch_missing(&agent, Path::new(&dir), &FILES, &[], &mut |_| ()).unwrap();
}
