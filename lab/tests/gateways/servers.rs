//! Other people's servers: started, waited for, and ended by their process id.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const READY_MAX: Duration = Duration::from_secs(60);

/// A server. It is killed when this is dropped.
pub(crate) struct Server {
    child: Child,
    at: SocketAddr,
}

impl Server {
    pub(crate) fn localstripe() -> Self {
        Self::start(|port| {
            let mut command = Command::new(python());
            command.arg(file("serve_localstripe.py")).arg(port);
            command
        })
    }

    pub(crate) fn stateful() -> Self {
        Self::start(|port| {
            let mut command = Command::new("node");
            command.arg(file("stateful.js")).arg(port).env("LOG_LEVEL", "silent");
            command
        })
    }

    pub(crate) fn prism() -> Self {
        Self::start(|port| {
            let mut command = Command::new("node");
            command.arg(file("node_modules/@stoplight/prism-cli/dist/index.js"));
            // What does not fit the specification is answered with 422 or an error of Prism's own.
            command.args(["mock", "--errors", "--host", "127.0.0.1", "--port", port]);
            command.arg(file("adyen-checkout-v71.json"));
            command
        })
    }

    fn start(command: impl FnOnce(&str) -> Command) -> Self {
        // A port that was free a moment ago.
        let at = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let mut command = command(&at.port().to_string());
        command.current_dir(file("")).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().expect("cannot be started: run `cargo xtask test` once, which installs it");
        let mut server = Self { child, at };
        let until = Instant::now() + READY_MAX;
        while TcpStream::connect(at).is_err() {
            let ended = server.child.try_wait().unwrap();
            assert!(ended.is_none(), "{command:?} ended: run `cargo xtask test` once, which installs it");
            assert!(Instant::now() < until, "{command:?} does not listen");
            std::thread::sleep(Duration::from_millis(50));
        }
        server
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.at)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/gateways").join(name)
}

pub(crate) fn python() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target/peers/bin/python")
}
