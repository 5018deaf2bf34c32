//! A mail server that takes messages and keeps them.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};

use crate::inbox::Inbox;

const LINE_LENGTH_MAX: u64 = 4 * 1024; // RFC 5321 asks for 1,000.
const DATA_SIZE_MAX: usize = 1024 * 1024;
const RECIPIENTS_MAX: usize = 100;
const CONNECTIONS_MAX: usize = 64; // More wait at the door.

/// A message that was accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The sender of the envelope.
    pub from: String,
    /// The recipients of the envelope.
    pub to: Vec<String>,
    /// Headers and body, unstuffed, with CRLF line ends.
    pub data: String,
}

impl Message {
    /// The header lines, unfolded.
    #[must_use]
    pub fn headers(&self) -> Vec<String> {
        let head = self.data.split("\r\n\r\n").next().unwrap_or_default();
        let unfolded = head.replace("\r\n ", " ").replace("\r\n\t", " ");
        unfolded.split("\r\n").map(str::to_owned).collect()
    }

    /// The value of the first header of that name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<String> {
        self.headers().iter().find_map(|line| {
            let (known, value) = line.split_once(':')?;
            known.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
        })
    }

    /// The body as transferred.
    #[must_use]
    pub fn body(&self) -> &str {
        self.data.split_once("\r\n\r\n").map_or("", |(_, body)| body)
    }
}

/// How a message is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MailAnswer {
    /// 250 to everything.
    Accept,
    /// 451 to the recipient: come back later.
    Greylist,
    /// 550 to the recipient: no such mailbox.
    Reject,
    /// Takes and keeps the message, and never says so.
    StallAfterData,
}

type Arrivals = Inbox<Message, MailAnswer>;

/// A mail server on a loopback port of its own, until it is dropped.
#[derive(Debug)]
pub struct Mail {
    address: SocketAddr,
    inbox: Arc<Arrivals>,
    serving: AbortHandle,
}

impl Mail {
    /// Starts on a free port.
    ///
    /// # Errors
    /// Fails where no port can be bound.
    pub async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let inbox = Arc::new(Inbox::new(MailAnswer::Accept));
        let serving = tokio::spawn(serve(listener, Arc::clone(&inbox)));
        Ok(Self { address, inbox, serving: serving.abort_handle() })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers the next message so, once.
    pub fn answer_next(&self, answer: MailAnswer) {
        self.inbox.answer_next(answer);
    }

    /// Answers every message so, from now on.
    pub fn answer_always(&self, answer: MailAnswer) {
        self.inbox.answer_always(answer);
    }

    /// What was accepted, oldest first: the last 10,000.
    #[must_use]
    pub fn messages(&self) -> Vec<Message> {
        self.inbox.kept()
    }

    /// How many messages were offered, accepted or not.
    #[must_use]
    pub fn attempts(&self) -> usize {
        self.inbox.attempts()
    }

    /// Waits until `count` messages were accepted. Has no end of its own: put a timeout around it.
    pub async fn wait_for(&self, count: usize) -> Vec<Message> {
        self.inbox.wait_for(count).await
    }

    /// Waits until `count` messages were offered, accepted or not. Has no end of its own.
    pub async fn wait_for_attempts(&self, count: usize) {
        self.inbox.wait_for_attempts(count).await;
    }
}

impl Drop for Mail {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn serve(listener: TcpListener, inbox: Arc<Arrivals>) {
    let mut sessions = JoinSet::new(); // They end with this task.
    loop {
        tokio::select! {
            accepted = listener.accept(), if sessions.len() < CONNECTIONS_MAX => {
                let Ok((stream, _)) = accepted else { continue };
                let inbox = Arc::clone(&inbox);
                // A connection that breaks is the other side's affair.
                sessions.spawn(async move { if Session::new(stream, inbox).run().await.is_err() {} });
            }
            Some(_ended) = sessions.join_next() => {}
        }
    }
}

struct Session {
    stream: BufReader<TcpStream>,
    inbox: Arc<Arrivals>,
    answer: MailAnswer,
    from: Option<String>,
    to: Vec<String>,
}

impl Session {
    fn new(stream: TcpStream, inbox: Arc<Arrivals>) -> Self {
        let stream = BufReader::new(stream);
        Self { stream, inbox, answer: MailAnswer::Accept, from: None, to: Vec::new() }
    }

    async fn run(mut self) -> io::Result<()> {
        self.say("220 capture ESMTP").await?;
        loop {
            let line = self.line().await?;
            let verb = line.split([' ', ':']).next().unwrap_or_default().to_ascii_uppercase();
            match verb.as_str() {
                "EHLO" => self.say("250-capture\r\n250 8BITMIME").await?,
                "HELO" => self.say("250 capture").await?,
                "MAIL" => self.mail(&line).await?,
                "RCPT" => self.recipient(&line).await?,
                "DATA" => self.data().await?,
                "RSET" => {
                    self.forget();
                    self.say("250 ok").await?;
                }
                "NOOP" => self.say("250 ok").await?,
                "QUIT" => return self.say("221 bye").await,
                _ => self.say("502 not here").await?,
            }
        }
    }

    async fn mail(&mut self, line: &str) -> io::Result<()> {
        let Some(from) = address(line, "MAIL FROM:") else {
            return self.say("501 expected MAIL FROM:<address>").await;
        };
        self.answer = self.inbox.decide();
        self.from = Some(from);
        self.say("250 ok").await
    }

    async fn recipient(&mut self, line: &str) -> io::Result<()> {
        let Some(to) = address(line, "RCPT TO:") else {
            return self.say("501 expected RCPT TO:<address>").await;
        };
        if self.from.is_none() {
            return self.say("503 MAIL comes first").await;
        }
        if self.to.len() == RECIPIENTS_MAX {
            return self.say("452 too many recipients").await;
        }
        match self.answer {
            MailAnswer::Greylist => self.say("451 4.7.1 greylisted, come back later").await,
            MailAnswer::Reject => self.say("550 5.1.1 no such mailbox").await,
            MailAnswer::Accept | MailAnswer::StallAfterData => {
                self.to.push(to);
                self.say("250 ok").await
            }
        }
    }

    async fn data(&mut self) -> io::Result<()> {
        if self.to.is_empty() {
            return self.say("503 RCPT comes first").await;
        }
        self.say("354 end with a dot").await?;
        let mut data = String::new();
        loop {
            let line = self.line().await?;
            if line == "." {
                break;
            }
            data.push_str(line.strip_prefix('.').unwrap_or(&line)); // RFC 5321, 4.5.2.
            data.push_str("\r\n");
            if data.len() > DATA_SIZE_MAX {
                return Err(io::Error::other("a message that is too long"));
            }
        }
        let from = self.from.clone().unwrap_or_default();
        self.inbox.keep(Message { from, to: self.to.clone(), data });
        if self.answer == MailAnswer::StallAfterData {
            std::future::pending::<()>().await;
        }
        self.forget();
        self.say("250 2.0.0 kept").await
    }

    fn forget(&mut self) {
        self.from = None;
        self.to.clear();
    }

    /// Reads a line that ends in CRLF, as RFC 5321 demands.
    async fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        let read = (&mut self.stream).take(LINE_LENGTH_MAX).read_line(&mut line).await?;
        let ended = line.strip_suffix("\r\n").filter(|line| !line.contains('\r'));
        match ended {
            Some(line) => Ok(line.to_owned()),
            None if read == 0 => Err(io::ErrorKind::UnexpectedEof.into()),
            None => Err(io::Error::other("a line that is too long or does not end in CRLF")),
        }
    }

    async fn say(&mut self, line: &str) -> io::Result<()> {
        self.stream.get_mut().write_all(format!("{line}\r\n").as_bytes()).await
    }
}

/// The address between the angle brackets of `MAIL FROM:<address>`.
fn address(line: &str, verb: &str) -> Option<String> {
    let (start, rest) = line.split_at_checked(verb.len())?;
    let rest = start.eq_ignore_ascii_case(verb).then(|| rest.trim_start())?;
    let (address, _parameters) = rest.strip_prefix('<')?.split_once('>')?;
    Some(address.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_stands_in_angle_brackets() {
        assert_eq!(address("mail from:<a@b> SIZE=1", "MAIL FROM:").as_deref(), Some("a@b"));
        assert_eq!(address("MAIL FROM:a@b", "MAIL FROM:"), None);
        assert_eq!(address("MAIL", "MAIL FROM:"), None);
    }

    #[tokio::test]
    async fn a_dotted_line_arrives_as_it_was_written() {
        let mail = Mail::start().await.unwrap();
        let mut stream = TcpStream::connect(mail.address()).await.unwrap();
        let said = "HELO x\r\nMAIL FROM:<a@x>\r\nRCPT TO:<b@x>\r\nDATA\r\n\
                    Subject: long\r\n line\r\n\r\n..dot\r\n.\r\nQUIT\r\n";
        stream.write_all(said.as_bytes()).await.unwrap();
        let kept = mail.wait_for(1).await;
        assert_eq!(
            (kept[0].from.as_str(), kept[0].to.as_slice()),
            ("a@x", &["b@x".to_owned()][..])
        );
        assert_eq!(kept[0].header("subject").as_deref(), Some("long line"));
        assert_eq!(kept[0].body(), ".dot\r\n");
    }
}
