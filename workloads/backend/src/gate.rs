//! A listener that refuses connections while somebody asks for that.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use axum::serve::Listener;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::Instant;

/// How long after a failure the next attempt is made.
const AGAIN: Duration = Duration::from_millis(100);

/// Says until when connections are refused.
#[derive(Debug, Clone, Default)]
pub struct Gate {
    closed_until: watch::Sender<Option<Instant>>,
}

impl Gate {
    /// Refuses connections up to a moment, and longer where that was asked for before.
    pub fn close_until(&self, moment: Instant) {
        self.closed_until.send_modify(|until| {
            *until = Some(until.map_or(moment, |before| before.max(moment)));
        });
    }

    /// Refuses connections no longer.
    pub fn open(&self) {
        self.closed_until
            .send_if_modified(|until| until.take().is_some());
    }

    /// Until when connections are refused, while they are.
    #[must_use]
    pub fn closed_until(&self) -> Option<Instant> {
        self.closed_until
            .borrow()
            .filter(|until| Instant::now() < *until)
    }
}

/// The listener behind a gate. While that is closed nothing listens, so that the system itself refuses connections.
#[derive(Debug)]
pub struct GatedListener {
    listener: Option<TcpListener>,
    address: SocketAddr,
    closed_until: watch::Receiver<Option<Instant>>,
}

impl GatedListener {
    /// Puts a listener behind a gate.
    ///
    /// # Errors
    /// When the listener does not know its address.
    pub fn new(listener: TcpListener, gate: &Gate) -> io::Result<Self> {
        Ok(Self {
            address: listener.local_addr()?,
            listener: Some(listener),
            closed_until: gate.closed_until.subscribe(),
        })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The listener, made again where it was given up.
    async fn listening(&mut self) -> &TcpListener {
        let listener = match self.listener.take() {
            Some(listener) => listener,
            None => loop {
                match TcpListener::bind(self.address).await {
                    Ok(listener) => break listener,
                    Err(error) => {
                        tracing::error!(address = %self.address, "cannot listen again: {error}");
                    }
                }
                tokio::time::sleep(AGAIN).await;
            },
        };
        self.listener.insert(listener)
    }
}

impl Listener for GatedListener {
    type Io = TcpStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (TcpStream, SocketAddr) {
        loop {
            let until = *self.closed_until.borrow_and_update();
            if let Some(until) = until.filter(|until| Instant::now() < *until) {
                self.listener = None;
                tokio::select! {
                    () = tokio::time::sleep_until(until) => {}
                    Ok(()) = self.closed_until.changed() => {}
                }
                continue;
            }
            let mut closing = self.closed_until.clone();
            let listener = self.listening().await;
            tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok(accepted) => return accepted,
                    // Of one connection that is gone already, or of too many: neither ends the service.
                    Err(error) => {
                        tracing::warn!("a connection was not accepted: {error}");
                        tokio::time::sleep(AGAIN).await;
                    }
                },
                // The other half is in the state that the requests share.
                _ = closing.changed() => {}
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }
}
