//! Which node of a cluster has which keys.

use std::collections::{BTreeMap, HashMap};

use redis::Value;

use super::address::Host;

const SLOTS: u16 = 16_384;

/// Who has which slot, as far as is known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Slots {
    /// By the last slot of each range: its first slot, and the primary.
    ranges: BTreeMap<u16, (u16, Host)>,
    /// Learnt since, one by one.
    moved: HashMap<u16, Host>,
}

impl Slots {
    /// Reads the answer of `asked` to `CLUSTER SLOTS`. `None` where it is none.
    pub(super) fn read(answer: &Value, asked: &Host) -> Option<Self> {
        let Value::Array(ranges) = answer else { return None };
        let mut slots = Self::default();
        for range in ranges {
            let Value::Array(range) = range else { return None };
            let [Value::Int(first), Value::Int(last), Value::Array(primary), ..] = range.as_slice()
            else {
                return None;
            };
            let host = host(primary, asked)?;
            let (first, last) = (u16::try_from(*first).ok()?, u16::try_from(*last).ok()?);
            slots.ranges.insert(last, (first, host));
        }
        Some(slots)
    }

    /// Notes that `slot` is at `host` now.
    pub(super) fn learn(&mut self, slot: u16, host: Host) {
        self.moved.insert(slot, host);
    }

    /// Who has `slot`.
    pub(super) fn primary_of(&self, slot: u16) -> Option<&Host> {
        let (first, host) = self.ranges.range(slot..).next()?.1;
        self.moved.get(&slot).or_else(|| (*first <= slot).then_some(host))
    }

    /// Everybody who has slots.
    pub(super) fn primaries(&self) -> Vec<Host> {
        let mut hosts: Vec<Host> = self.ranges.values().map(|(_, host)| host.clone()).collect();
        hosts.extend(self.moved.values().cloned());
        hosts.sort();
        hosts.dedup();
        hosts
    }
}

/// The slot of a key: of what is between its first braces, where there is something.
pub(super) fn slot_of(key: &[u8]) -> u16 {
    let tagged = || {
        let open = key.iter().position(|byte| *byte == b'{')?;
        let tag = &key[open + 1..];
        let close = tag.iter().position(|byte| *byte == b'}')?;
        Some(&tag[..close]).filter(|tag| !tag.is_empty())
    };
    crc16(tagged().unwrap_or(key)) % SLOTS
}

/// CRC16-CCITT (XMODEM), as the cluster specification says.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, byte| {
        (0..8).fold(crc ^ (u16::from(*byte) << 8), |crc, _bit| {
            if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 }
        })
    })
}

/// The host a `MOVED` or an `ASK` from `asked` names; one without a name is the same machine.
pub(super) fn redirect(target: &str, asked: &Host) -> Option<Host> {
    let (name, port) = target.rsplit_once(':')?;
    let name = if name.is_empty() { asked.name.clone() } else { name.to_owned() };
    Some(Host { name, port: port.parse().ok()? })
}

fn host(node: &[Value], asked: &Host) -> Option<Host> {
    let (Some(name), Some(Value::Int(port))) = (node.first(), node.get(1)) else { return None };
    let known = if let Value::BulkString(name) = name { name.as_slice() } else { b"" };
    let name = match known {
        b"?" => return None,
        b"" => asked.name.clone(), // A node that does not know its own name.
        name => String::from_utf8(name.to_vec()).ok()?,
    };
    Some(Host { name, port: u16::try_from(*port).ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(name: &str, port: u16) -> Host {
        Host { name: name.to_owned(), port }
    }

    #[test]
    fn slots_are_those_of_the_cluster_specification() {
        assert_eq!(crc16(b"123456789"), 0x31C3);
        assert_eq!(slot_of(b"foo"), 12_182); // As redis-cli says.
        assert_eq!(slot_of(b"{foo}:bar"), 12_182);
        assert_eq!(slot_of(b"a{foo}{bar}"), 12_182);
        assert_eq!(slot_of(b"{}foo"), crc16(b"{}foo") % SLOTS);
    }

    #[test]
    fn a_slot_is_where_its_range_says_unless_it_was_seen_elsewhere_since() {
        let node =
            |name: &str, port| Value::Array(vec![Value::BulkString(name.into()), Value::Int(port)]);
        let range =
            |first, last, node| Value::Array(vec![Value::Int(first), Value::Int(last), node]);
        let answer = Value::Array(vec![range(0, 99, node("a", 1)), range(200, 299, node("", 2))]);
        let mut slots = Slots::read(&answer, &at("asked", 9)).unwrap();
        assert_eq!(slots.primary_of(99), Some(&at("a", 1)));
        assert_eq!(slots.primary_of(100), None);
        assert_eq!(slots.primary_of(200), Some(&at("asked", 2)));
        assert_eq!(slots.primary_of(300), None);
        slots.learn(99, at("b", 3));
        assert_eq!(slots.primary_of(99), Some(&at("b", 3)));
        assert_eq!(slots.primary_of(98), Some(&at("a", 1)));
        assert_eq!(slots.primaries(), [at("a", 1), at("asked", 2), at("b", 3)]);
        assert_eq!(Slots::read(&Value::Okay, &at("a", 1)), None);
    }

    #[test]
    fn a_redirect_without_a_name_is_to_the_same_machine() {
        assert_eq!(redirect("b:7", &at("a", 1)), Some(at("b", 7)));
        assert_eq!(redirect(":7", &at("a", 1)), Some(at("a", 7)));
        assert_eq!(redirect("::1:7", &at("a", 1)), Some(at("::1", 7)));
        assert_eq!(redirect("nonsense", &at("a", 1)), None);
    }
}
