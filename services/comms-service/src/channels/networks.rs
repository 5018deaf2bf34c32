//! Where a webhook may go: public addresses, and the networks that the settings name.
//!
//! What is checked is the address that is connected to, not the name: a name that resolves to
//! something else the next time gains nothing.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// Where connections may go.
#[derive(Debug, Clone)]
pub(super) struct Networks {
    allowed: Vec<Network>,
    /// Only what is named: what goes in the clear goes nowhere else.
    is_closed: bool,
}

#[derive(Debug, Clone, Copy)]
struct Network {
    base: IpAddr,
    prefix: u32,
}

/// Where a connection was not made, and why.
#[derive(Debug)]
pub(super) struct Forbidden(String);

impl fmt::Display for Forbidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Forbidden {}

impl Networks {
    /// Reads networks such as `10.1.0.0/16`, and checks that `url` may be asked as far as that can be
    /// seen without resolving its name.
    pub(super) fn new(allowed: &[String], url: &Url) -> Result<Self, String> {
        let parsed: Result<_, String> = allowed.iter().map(|text| Network::parse(text)).collect();
        let networks = Self { allowed: parsed?, is_closed: url.scheme() == "http" };
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
        if let Ok(address) = host.parse()
            && !networks.permit(address)
        {
            return Err(networks.refusal(&address.to_string()).0); // Names only pass the resolver.
        }
        Ok(networks)
    }

    fn permit(&self, address: IpAddr) -> bool {
        let named = self.allowed.iter().any(|network| network.contains(address));
        named || (!self.is_closed && is_public(address))
    }

    fn refusal(&self, what: &str) -> Forbidden {
        let why = if self.is_closed {
            "plain http is for networks in `allow_networks` only"
        } else {
            "it is not public and not in `allow_networks`"
        };
        Forbidden(format!("{what} is not connected to: {why}"))
    }

    async fn resolve_permitted(
        self,
        name: String,
    ) -> Result<Addrs, Box<dyn std::error::Error + Send + Sync>> {
        let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
        let permitted: Vec<_> = found.into_iter().filter(|one| self.permit(one.ip())).collect();
        if permitted.is_empty() {
            return Err(self.refusal("what its name stands for").into());
        }
        Ok(Box::new(permitted.into_iter()))
    }
}

impl Resolve for Networks {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(self.clone().resolve_permitted(name.as_str().to_owned()))
    }
}

impl Network {
    fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{}` is no network such as 10.1.0.0/16", vocab::excerpt(text));
        let (base, prefix) = text.split_once('/').ok_or_else(wrong)?;
        let base: IpAddr = base.parse().map_err(|_e| wrong())?;
        let prefix = prefix.parse().map_err(|_e| wrong())?;
        let longest = if base.is_ipv4() { 32 } else { 128 };
        if prefix > longest { Err(wrong()) } else { Ok(Self { base, prefix }) }
    }

    fn contains(self, address: IpAddr) -> bool {
        match (self.base, address.to_canonical()) {
            (IpAddr::V4(base), IpAddr::V4(address)) => {
                let mask = u32::MAX.checked_shl(32 - self.prefix).unwrap_or(0);
                base.to_bits() & mask == address.to_bits() & mask
            }
            (IpAddr::V6(base), IpAddr::V6(address)) => {
                let mask = u128::MAX.checked_shl(128 - self.prefix).unwrap_or(0);
                base.to_bits() & mask == address.to_bits() & mask
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

/// Whether it is nobody's own: neither this host, nor this network, nor a special purpose.
fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [first, second, third, _] = address.octets();
    let is_special = first == 0
        || first >= 224 // Multicast and reserved.
        || (first == 100 && (64..128).contains(&second)) // Shared by carriers.
        || (first == 192 && second == 0 && third == 0)
        || (first == 198 && (18..20).contains(&second)); // Benchmarks.
    !(is_special
        || address.is_private()
        || address.is_loopback()
        || address.is_link_local() // With the metadata of clouds.
        || address.is_documentation())
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let [first, second, .., seventh, eighth] = address.segments();
    let embedded = |high: u16, low: u16| {
        is_public_v4(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)))
    };
    match first {
        0x64 if second == 0xff9b => embedded(seventh, eighth), // NAT64.
        0x2002 => embedded(second, address.segments()[2]),     // 6to4.
        0x2001 if second < 0x200 || second == 0xdb8 => false, // Teredo and the like, documentation.
        _ => first & 0xe000 == 0x2000,                        // What is given out to the world.
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn networks(allowed: &[&str], url: &str) -> Result<Networks, String> {
        let allowed: Vec<_> = allowed.iter().map(|one| (*one).to_owned()).collect();
        Networks::new(&allowed, &Url::parse(url).unwrap())
    }

    #[test]
    fn what_is_not_public_is_refused_however_it_is_written() {
        for host in [
            "127.0.0.1",
            "127.1",
            "2130706433",
            "0x7f.1",
            "0.0.0.0",
            "10.0.0.1",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.100.100.200",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "[::1]",
            "[::]",
            "[fe80::1]",
            "[fd00:ec2::254]",
            "[::ffff:127.0.0.1]",
            "[64:ff9b::7f00:1]",
            "[2002:7f00:1::]",
            "[2001:db8::1]",
            "[ff02::1]",
        ] {
            let refused = networks(&[], &format!("https://{host}/")).unwrap_err();
            assert!(refused.contains("is not connected to"), "{host}: {refused}");
        }
        for host in ["93.184.215.14", "[2606:2800:21f::1]", "[64:ff9b::5db8:d70e]", "example.com"] {
            assert!(networks(&[], &format!("https://{host}/")).is_ok(), "{host}");
        }
    }

    #[test]
    fn what_is_named_is_allowed_and_plain_http_goes_nowhere_else() {
        assert!(networks(&["127.0.0.0/8"], "https://127.0.0.1/").is_ok());
        assert!(networks(&["127.0.0.0/8"], "http://[::ffff:127.0.0.1]/").is_ok());
        assert!(networks(&["fd00::/8"], "http://[fd00::1]/").is_ok());
        assert!(networks(&["0.0.0.0/0"], "https://10.1.2.3/").is_ok());
        assert!(networks(&["127.0.0.1/32"], "https://127.0.0.2/").is_err());
        let refused = networks(&[], "http://93.184.215.14/").unwrap_err();
        assert!(refused.contains("plain http"), "{refused}");
        for bad in ["10.0.0.0", "10.0.0.0/33", "::/129", "here/8", ""] {
            assert!(networks(&[bad], "https://example.com/").unwrap_err().contains("no network"));
        }
    }

    #[tokio::test]
    async fn a_name_is_judged_by_what_it_resolves_to() {
        let closed = networks(&[], "https://localhost/").unwrap();
        let refused = closed.resolve_permitted("localhost".to_owned()).await.err().unwrap();
        assert!(refused.is::<Forbidden>(), "{refused}");
        let open = networks(&["127.0.0.0/8", "::1/128"], "https://localhost/").unwrap();
        assert!(open.resolve_permitted("localhost".to_owned()).await.is_ok());
    }
}
