//! The proxy for HTTP/1.1, with the faults of an object store.

use std::io;
use std::net::SocketAddr;

use tokio::net::TcpStream;

use super::counts::Counts;
use super::gate::{Conversation, End, Gate, Wire};
use super::message::{AnswerHead, Body, Reader, RequestHead, Writer};
use super::rules::{HttpFault, Rule, RuleId, Rules};

/// See the module documentation. Faults are commanded through it; it ends when dropped.
#[derive(Debug)]
pub struct HttpProxy(Gate<Requests>);

impl HttpProxy {
    /// Listens on a free port of the loopback address.
    ///
    /// # Errors
    /// When there is none.
    pub async fn start(upstream: SocketAddr, seed: u64) -> io::Result<Self> {
        Gate::open(None, upstream, Requests(Rules::new(seed))).await.map(Self)
    }

    /// Listens on this address.
    ///
    /// # Errors
    /// When it is taken.
    pub async fn start_at(listen: SocketAddr, upstream: SocketAddr, seed: u64) -> io::Result<Self> {
        Gate::open(Some(listen), upstream, Requests(Rules::new(seed))).await.map(Self)
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.0.address()
    }

    /// Adds a fault for some of the requests to come.
    pub fn inject(&self, rule: Rule) -> RuleId {
        self.0.conversation().0.add(rule)
    }

    /// Takes a fault back.
    pub fn remove(&self, id: RuleId) {
        self.0.conversation().0.remove(id);
    }

    /// Takes all faults back; `stall`, `slow` and `refuse` stay as they are.
    pub fn clear(&self) {
        self.0.conversation().0.clear();
    }

    /// What it did so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.0.wire().counter.counts()
    }

    /// Resets all connections; how many there were.
    pub fn cut(&self) -> usize {
        self.0.cut()
    }

    /// Refuses new connections, or takes them again.
    ///
    /// # Errors
    /// When the address is taken meanwhile.
    pub async fn refuse(&self, refuse: bool) -> io::Result<()> {
        self.0.refuse(refuse).await
    }

    /// Holds all bytes back, or lets them go on; connections stay.
    pub fn stall(&self, stall: bool) {
        self.0.stall(stall);
    }

    /// Bytes per second for each connection and direction; `None` for as many as there are.
    pub fn slow(&self, bytes_per_second: Option<u64>) {
        self.0.slow(bytes_per_second);
    }
}

#[derive(Debug)]
struct Requests(Rules);

/// The two sides of a connection.
struct Sides<'a, 'w> {
    from_client: Reader<'a>,
    to_client: Option<Writer<'a, 'w>>,
    from_server: Reader<'a>,
    to_server: Option<Writer<'a, 'w>>,
}

/// Whether another request may follow.
enum Then {
    Next,
    End(End),
}

const ALL: u64 = u64::MAX;

impl Conversation for Requests {
    async fn serve(&self, wire: &Wire, client: &mut TcpStream, server: &mut TcpStream) -> io::Result<End> {
        let ((from_client, to_client), (from_server, to_server)) = (client.split(), server.split());
        let mut sides = Sides {
            from_client: Reader::new(from_client),
            to_client: Some(Writer { stream: to_client, wire }),
            from_server: Reader::new(from_server),
            to_server: Some(Writer { stream: to_server, wire }),
        };
        while let Some(request) = sides.next_request().await? {
            wire.counter.request();
            let fault = self.0.fault_for(&request.method, &request.target);
            if let Some(fault) = fault {
                wire.counter.injected(fault.name());
            }
            match sides.exchange(&request, fault).await? {
                Then::Next => {}
                Then::End(end) => return Ok(end),
            }
        }
        Ok(End::Close)
    }
}

impl Sides<'_, '_> {
    /// The next request; `None` when one of the sides has ended the connection between two of them.
    async fn next_request(&mut self) -> io::Result<Option<RequestHead>> {
        tokio::select! {
            biased;
            request = self.from_client.request() => request,
            said = self.from_server.fill() => said.map(|_| None),
        }
    }

    async fn exchange(&mut self, request: &RequestHead, fault: Option<HttpFault>) -> io::Result<Then> {
        match fault {
            None => self.forward(request).await,
            Some(HttpFault::Delay(time)) => {
                tokio::time::sleep(time).await;
                self.forward(request).await
            }
            Some(HttpFault::Reset) => Ok(Then::End(End::Reset)),
            Some(HttpFault::SlowDown) => self.answer(request, SLOW_DOWN).await,
            Some(HttpFault::Conflict) => self.answer(request, CONFLICT).await,
            Some(HttpFault::HalfRequest) => {
                match half(request.body) {
                    0 => to(&mut self.to_server, &request.bytes[..request.bytes.len() / 2]).await?,
                    most => {
                        to(&mut self.to_server, &request.bytes).await?;
                        self.from_client.body(request.body, &mut self.to_server, most).await?;
                    }
                }
                Ok(Then::End(End::Reset))
            }
            Some(HttpFault::HalfAnswer) => {
                let Some(head) = self.ask(request).await? else { return Ok(Then::End(End::Close)) };
                match half(head.body) {
                    0 => to(&mut self.to_client, &head.bytes[..head.bytes.len() / 2]).await?,
                    most => {
                        to(&mut self.to_client, &head.bytes).await?;
                        self.from_server.body(head.body, &mut self.to_client, most).await?;
                    }
                }
                Ok(Then::End(End::Close))
            }
            Some(HttpFault::LostAnswer) => {
                if let Some(head) = self.ask(request).await? {
                    self.from_server.body(head.body, &mut None, ALL).await?;
                }
                Ok(Then::End(End::Reset))
            }
        }
    }

    async fn forward(&mut self, request: &RequestHead) -> io::Result<Then> {
        let Some(head) = self.ask(request).await? else { return Ok(Then::End(End::Close)) };
        to(&mut self.to_client, &head.bytes).await?;
        self.from_server.body(head.body, &mut self.to_client, ALL).await?;
        let last = request.closes || head.closes || head.body == Body::UntilClose;
        Ok(if last { Then::End(End::Close) } else { Then::Next })
    }

    /// Hands the request on and reads the head of the answer. `None` when the server did not want the body: what it said
    /// has been passed on.
    async fn ask(&mut self, request: &RequestHead) -> io::Result<Option<AnswerHead>> {
        to(&mut self.to_server, &request.bytes).await?;
        if request.expects_continue {
            let word = self.from_server.answer(&request.method).await?;
            to(&mut self.to_client, &word.bytes).await?;
            if word.status != 100 {
                self.from_server.body(word.body, &mut self.to_client, ALL).await?;
                return Ok(None);
            }
        }
        let sent = self.from_client.body(request.body, &mut self.to_server, ALL).await;
        // A server that refuses may close before it has read everything; what it said before counts.
        match self.from_server.answer(&request.method).await {
            Ok(head) if sent.is_ok() => Ok(Some(head)),
            Ok(head) => {
                to(&mut self.to_client, &head.bytes).await?;
                self.from_server.body(head.body, &mut self.to_client, ALL).await?;
                Ok(None)
            }
            Err(error) => Err(sent.err().unwrap_or(error)),
        }
    }

    /// Answers in the server's place.
    async fn answer(&mut self, request: &RequestHead, (status, code, text): Refusal) -> io::Result<Then> {
        if !request.expects_continue {
            self.from_client.body(request.body, &mut None, ALL).await?;
        }
        let document = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>{text}</Message></Error>"
        );
        let body = if request.method == "HEAD" { "" } else { &document };
        let head = format!(
            "HTTP/1.1 {status}\r\nContent-Type: application/xml\r\nContent-Length: {}\r\n{}\r\n",
            document.len(),
            if request.expects_continue { "Connection: close\r\n" } else { "" },
        );
        to(&mut self.to_client, head.as_bytes()).await?;
        to(&mut self.to_client, body.as_bytes()).await?;
        Ok(if request.expects_continue || request.closes { Then::End(End::Close) } else { Then::Next })
    }
}

/// Status line, code and message of an answer of our own.
type Refusal = (&'static str, &'static str, &'static str);

const SLOW_DOWN: Refusal = ("503 Slow Down", "SlowDown", "Please reduce your request rate.");
const CONFLICT: Refusal = (
    "409 Conflict",
    "ConditionalRequestConflict",
    "The conditional request cannot succeed due to a conflicting operation against this resource.",
);

async fn to(writer: &mut Option<Writer<'_, '_>>, bytes: &[u8]) -> io::Result<()> {
    match writer {
        Some(writer) => writer.write(bytes).await,
        None => Ok(()),
    }
}

/// Half of a body, as far as its length is known: of others, a little.
fn half(body: Body) -> u64 {
    match body {
        Body::Length(length) => length / 2,
        Body::Chunked | Body::UntilClose => 16,
    }
}
