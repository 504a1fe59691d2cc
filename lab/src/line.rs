//! A softphone on real sockets: one task, told what to do over a queue.

mod weather;

use crate::phone::{Config, Event, Output, Phone, Press};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::net::UdpSocket;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use weather::Network;
pub use weather::{Fates, Weather};

/// Orders that may wait.
const ORDERS_MAX: usize = 64;
/// Events that may wait; a reader that never reads loses the newest.
const EVENTS_MAX: usize = 256;
const DATAGRAM_BYTES_MAX: usize = 65_535;

type Look = Box<dyn FnOnce(&Phone) + Send>;

enum Order {
    Call(String, SocketAddr),
    Press(String, Press),
    Speak(bool),
    Say(Vec<i16>),
    OfferEvents(bool),
    HearItself,
    Hold(bool),
    HangUp,
    Weather(Option<Weather>, oneshot::Sender<Fates>),
    Look(Look),
}

/// A phone's handle. When it is dropped the phone goes.
pub struct Line {
    orders: mpsc::Sender<Order>,
    events: mpsc::Receiver<Event>,
}

/// Why a phone does not work.
#[derive(Debug, thiserror::Error)]
pub enum LineError {
    /// A socket.
    #[error("a softphone's socket: {0}")]
    Io(#[from] std::io::Error),
    /// The phone's task is gone.
    #[error("the softphone is gone")]
    Gone,
    /// It did not happen in time.
    #[error("waited {waited_ms} ms for {what}, in vain")]
    Late {
        /// How long.
        waited_ms: u128,
        /// For what.
        what: String,
    },
}

impl Line {
    /// Binds the phone's two sockets and starts it. A port 0 in the configuration takes a free one.
    pub async fn start(mut config: Config, seed: [u8; 32]) -> Result<Self, LineError> {
        let sip = UdpSocket::bind(config.sip).await?;
        let rtp = UdpSocket::bind(config.rtp).await?;
        config.sip = sip.local_addr()?;
        config.rtp = rtp.local_addr()?;
        let (orders, queue) = mpsc::channel(ORDERS_MAX);
        let (sender, events) = mpsc::channel(EVENTS_MAX);
        tokio::spawn(run(Phone::new(config, seed), sip, rtp, queue, sender));
        Ok(Self { orders, events })
    }

    /// Calls a number.
    pub async fn call(&self, number: &str, at: SocketAddr) -> Result<(), LineError> {
        self.order(Order::Call(number.to_owned(), at)).await
    }

    /// Presses keys.
    pub async fn press(&self, keys: &str, press: Press) -> Result<(), LineError> {
        self.order(Order::Press(keys.to_owned(), press)).await
    }

    /// Speaks or falls silent.
    pub async fn speak(&self, speaks: bool) -> Result<(), LineError> {
        self.order(Order::Speak(speaks)).await
    }

    /// Says these samples (8 kHz) again and again, in the place of its voice.
    pub async fn say(&self, samples: Vec<i16>) -> Result<(), LineError> {
        self.order(Order::Say(samples)).await
    }

    /// Offers telephone-event in calls from now on, or offers sound alone.
    pub async fn offer_events(&self, offers: bool) -> Result<(), LineError> {
        self.order(Order::OfferEvents(offers)).await
    }

    /// Keeps what the phone sends, from its next call on.
    pub async fn hear_itself(&self) -> Result<(), LineError> {
        self.order(Order::HearItself).await
    }

    /// Holds or resumes.
    pub async fn hold(&self, hold: bool) -> Result<(), LineError> {
        self.order(Order::Hold(hold)).await
    }

    /// Hangs up, and returns once it has: a call that comes then rings.
    pub async fn hang_up(&self) -> Result<(), LineError> {
        self.order(Order::HangUp).await?;
        self.look(|_| ()).await
    }

    /// Sends all that follows over a bad network, or over a good one again; tells what the one before did.
    pub async fn weather(&self, weather: Option<Weather>) -> Result<Fates, LineError> {
        let (sender, answer) = oneshot::channel();
        self.order(Order::Weather(weather, sender)).await?;
        answer.await.map_err(|_| LineError::Gone)
    }

    /// Looks at the phone.
    pub async fn look<T: Send + 'static>(&self, at: impl FnOnce(&Phone) -> T + Send + 'static) -> Result<T, LineError> {
        let (sender, answer) = oneshot::channel();
        let look: Look = Box::new(move |phone| {
            // Nobody waits any more when the asker has gone.
            let _ = sender.send(at(phone));
        });
        self.order(Order::Look(look)).await?;
        answer.await.map_err(|_| LineError::Gone)
    }

    /// Waits until all keys are pressed.
    pub async fn keyed(&self, most: Duration) -> Result<(), LineError> {
        let pause = Duration::from_millis(20);
        for _ in 0..most.as_millis() / pause.as_millis() + 1 {
            if !self.look(Phone::is_keying).await? {
                return Ok(());
            }
            tokio::time::sleep(pause).await;
        }
        Err(LineError::Late { waited_ms: most.as_millis(), what: "the keys".to_owned() })
    }

    /// The next thing that happens.
    pub async fn event(&mut self) -> Option<Event> {
        self.events.recv().await
    }

    /// Waits for an event; other events before it are passed over.
    pub async fn wait_for(&mut self, wanted: Event, most: Duration) -> Result<(), LineError> {
        let waiting = async {
            while let Some(event) = self.events.recv().await {
                if event == wanted {
                    return Ok(());
                }
            }
            Err(LineError::Gone)
        };
        let late = LineError::Late { waited_ms: most.as_millis(), what: format!("{wanted:?}") };
        timeout(most, waiting).await.unwrap_or(Err(late))
    }

    async fn order(&self, order: Order) -> Result<(), LineError> {
        self.orders.send(order).await.map_err(|_| LineError::Gone)
    }
}

/// Fresh random bytes for a phone's tags and stream ids.
pub fn random_seed() -> [u8; 32] {
    let (a, b) = (uuid::Uuid::new_v4().into_bytes(), uuid::Uuid::new_v4().into_bytes());
    std::array::from_fn(|index| a.iter().chain(&b).nth(index).copied().unwrap_or(0))
}

/// The shell's clock.
#[expect(clippy::disallowed_methods, reason = "a shell has a clock")]
fn now() -> Instant {
    Instant::now()
}

async fn run(
    mut phone: Phone,
    sip: UdpSocket,
    rtp: UdpSocket,
    mut orders: mpsc::Receiver<Order>,
    events: mpsc::Sender<Event>,
) {
    let mut datagram = vec![0; DATAGRAM_BYTES_MAX];
    let mut packet = vec![0; 2048];
    let mut network = None;
    loop {
        let timer = phone.poll_timeout().unwrap_or_else(|| now() + Duration::from_secs(1));
        tokio::select! {
            order = orders.recv() => match order {
                Some(Order::Weather(weather, told)) => {
                    let before = std::mem::replace(&mut network, weather.map(Network::new));
                    // Nobody waits any more when the asker has gone.
                    let _ = told.send(before.map(|network| network.fates).unwrap_or_default());
                }
                Some(order) => carry_out(&mut phone, order),
                None => return,
            },
            Ok((length, from)) = sip.recv_from(&mut datagram) => {
                phone.handle_sip(now(), from, datagram.get(..length).unwrap_or_default());
            }
            Ok((length, from)) = rtp.recv_from(&mut packet) => {
                phone.handle_rtp(from, packet.get(..length).unwrap_or_default());
            }
            () = tokio::time::sleep_until(timer.into()) => phone.handle_timeout(now()),
        }
        while let Some(output) = phone.poll_output() {
            let (socket, to, bytes) = match output {
                Output::Sip { to, bytes } => (&sip, to, bytes),
                Output::Rtp { to, bytes } => (&rtp, to, bytes),
                Output::Event(event) => {
                    // A reader that never reads loses the newest.
                    let _ = events.try_send(event);
                    continue;
                }
            };
            let sent = match &mut network {
                Some(network) => network.carry((socket, to, bytes)),
                None => vec![(socket, to, bytes)],
            };
            for (socket, to, bytes) in sent {
                // UDP promises nothing: what cannot be sent is lost.
                drop(socket.send_to(&bytes, to).await);
            }
        }
    }
}

fn carry_out(phone: &mut Phone, order: Order) {
    match order {
        Order::Call(number, at) => {
            if phone.call(now(), &number, at).is_err() {
                phone.hang_up(now());
            }
        }
        Order::Press(keys, press) => phone.press(&keys, press),
        Order::Speak(speaks) => phone.speak(speaks),
        Order::Say(samples) => phone.say(samples),
        Order::OfferEvents(offers) => phone.offer_events(offers),
        Order::HearItself => phone.hear_itself(),
        Order::Hold(hold) => phone.hold(now(), hold),
        Order::HangUp => phone.hang_up(now()),
        // That of the line, not of the phone.
        Order::Weather(..) => {}
        Order::Look(look) => look(phone),
    }
}
