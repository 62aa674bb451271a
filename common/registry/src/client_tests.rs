//! Conversations: a server answers as the test says, and writes down what it was asked.

use super::*;
use crate::progress::Progress;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

type Answer = dyn Fn(&str, Option<&str>) -> String + Send + Sync;

/// HOST:PORT, and the requests: method, path, Authorization.
struct Server {
    at: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// `answer` is given the path and the Authorization, and says all but the version.
    fn new(answer: impl Fn(&str, &str, Option<&str>) -> String + Send + Sync + 'static) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = listener.local_addr().unwrap().to_string();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (own, log) = (at.clone(), asked.clone());
        let answer: Arc<Answer> = Arc::new(move |path: &str, auth: Option<&str>| answer(&own, path, auth));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (answer, log) = (answer.clone(), log.clone());
                std::thread::spawn(move || serve(stream, &*answer, &log));
            }
        });
        Server { at, asked }
    }

    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }
}

/// One request a connection.
fn serve(mut stream: TcpStream, answer: &Answer, log: &Mutex<Vec<String>>) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
    let Some(first) = lines.next() else { return };
    let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut auth = None;
    for line in lines.take_while(|l| !l.is_empty()) {
        if let Some((name, value)) = line.split_once(": ")
            && name.eq_ignore_ascii_case("authorization")
        {
            auth = Some(value.to_owned());
        }
    }
    if path.is_empty() {
        return;
    }
    log.lock().unwrap().push(format!("{path} {}", auth.as_deref().unwrap_or("-")));
    let _ = stream.write_all(format!("HTTP/1.1 {}", answer(&path, auth.as_deref())).as_bytes());
}

fn body(status: &str, headers: &str, text: &str) -> String {
    format!("{status}\r\n{headers}Connection: close\r\nContent-Length: {}\r\n\r\n{text}", text.len())
}

fn bearer(realm: &str) -> String {
    let header = format!("WWW-Authenticate: Bearer realm=\"http://{realm}/token\",service=\"s\"\r\n");
    body("401 Unauthorized", &header, "")
}

const MANIFEST: &str = r#"{"schemaVersion":2,"config":{},"layers":[]}"#;

fn client<'n>(net: &'n Net, at: &str) -> Client<'n> {
    let reference = Reference::parse(&format!("{at}/a/b:t")).unwrap();
    let mut client = Client::new(net, &reference, Access::Pull).unwrap();
    for end in &mut client.ends {
        end.auth.own = Some(Credential::Password { user: "joe".into(), password: "x".into() });
    }
    client
}

#[test]
fn a_token_is_fetched_once_and_again_when_it_is_refused() {
    let tokens = Arc::new(Mutex::new(0));
    let current = tokens.clone();
    let server = Server::new(move |at, path, auth| {
        if path.starts_with("/token") {
            *tokens.lock().unwrap() += 1;
            return body("200 OK", "", &format!(r#"{{"token":"t{}"}}"#, tokens.lock().unwrap()));
        }
        let good = format!("Bearer t{}", current.lock().unwrap());
        // The first token is refused after one use.
        let refused = path.ends_with("/late") && auth == Some("Bearer t1");
        if auth == Some(&good) && !refused { body("200 OK", "", MANIFEST) } else { bearer(at) }
    });
    let net = Net::new(Progress::default()).unwrap();
    let mut client = client(&net, &server.at);
    let digest = client.manifest("t").unwrap().descriptor.digest;
    client.manifest(&digest.to_string()).unwrap();
    client.manifest("late").unwrap();
    let token = "/token?service=s&scope=repository:a/b:pull&account=joe Basic am9lOng=";
    let asked: Vec<String> = server.asked();
    assert_eq!(
        asked,
        [
            "/v2/a/b/manifests/t -",
            token,
            "/v2/a/b/manifests/t Bearer t1",
            &format!("/v2/a/b/manifests/{digest} Bearer t1"),
            "/v2/a/b/manifests/late Bearer t1",
            token,
            "/v2/a/b/manifests/late Bearer t2",
        ]
    );
}

#[test]
fn credentials_do_not_follow_a_redirect() {
    let storage = Server::new(|_, _, _| body("200 OK", "", "hello"));
    let there = storage.at.clone();
    let server = Server::new(move |_, _, auth| match auth {
        None => body("401 Unauthorized", "WWW-Authenticate: Basic realm=x\r\n", ""),
        Some(_) => body("307 Temporary Redirect", &format!("Location: http://{there}/x\r\n"), ""),
    });
    let net = Net::new(Progress::default()).unwrap();
    let client = client(&net, &server.at);
    let blob = Descriptor::new("m", Digest::of(b"hello"), 5);
    let mut text = String::new();
    client.open(&client.ends[0], &blob, 0).unwrap().reader.read_to_string(&mut text).unwrap();
    assert_eq!(text, "hello");
    assert_eq!(storage.asked(), ["/x -"]);
    let path = format!("/v2/a/b/blobs/{}", blob.digest);
    assert_eq!(server.asked(), [format!("{path} -"), format!("{path} Basic am9lOng=")]);
}

#[test]
fn a_digest_that_lies_is_asked_for_once_more() {
    let wrong = format!("Docker-Content-Digest: sha256:{}\r\n", "0".repeat(64));
    let server = Server::new(move |_, _, _| body("200 OK", &wrong, MANIFEST));
    let net = Net::new(Progress::default()).unwrap();
    let error = client(&net, &server.at).manifest("t").unwrap_err().to_string();
    assert!(error.contains("is something else"), "{error}");
    assert_eq!(server.asked().len(), 2);
}

#[test]
fn a_part_that_ends_where_no_number_does() {
    let server = Server::new(|_, _, _| {
        let most = u64::MAX;
        format!("206 Partial\r\nContent-Range: bytes 100-{most}/{most}\r\nContent-Length: {most}\r\n\r\nx")
    });
    let net = Net::new(Progress::default()).unwrap();
    let client = client(&net, &server.at);
    let blob = Descriptor::new("m", Digest::of(b"x"), 200);
    let error = client.open(&client.ends[0], &blob, 100).err().unwrap();
    assert!(error.is::<Lie>(), "{error:#}");
}
