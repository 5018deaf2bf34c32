//! Scripts: sent by their digest, and whole where the server has forgotten them.

use redis::{Arg, Cmd, ToRedisArgs};

/// What stands before the keys: the command's word, the script's digest and how many keys there are.
const BEFORE_KEYS: usize = 3;

/// A script and its digest.
#[derive(Debug)]
pub(super) struct Script {
    code: &'static str,
    digest: String,
}

/// A script with its keys and arguments. The first key says where it runs.
#[derive(Debug)]
pub(super) struct Call<'a> {
    script: &'a Script,
    by_digest: Cmd,
}

impl Script {
    pub(super) fn new(code: &'static str) -> Self {
        Self { code, digest: redis::Script::new(code).get_hash().to_owned() }
    }

    /// A call with all its keys; arguments follow.
    pub(super) fn call<K: AsRef<str>>(&self, keys: &[K]) -> Call<'_> {
        // Room for a call with few arguments, which is most of them.
        let bytes: usize = keys.iter().map(|key| key.as_ref().len()).sum();
        let mut by_digest = Cmd::with_capacity(BEFORE_KEYS + keys.len() + 8, bytes + 192);
        by_digest.arg("EVALSHA").arg(&self.digest).arg(keys.len());
        for key in keys {
            by_digest.arg(key.as_ref());
        }
        Call { script: self, by_digest }
    }
}

impl Call<'_> {
    pub(super) fn arg(&mut self, argument: impl ToRedisArgs) -> &mut Self {
        self.by_digest.arg(argument);
        self
    }

    pub(super) fn first_key(&self) -> &[u8] {
        simple(&self.by_digest).nth(BEFORE_KEYS).unwrap_or_default()
    }

    /// The call by the script's digest: `NOSCRIPT` where the server has not got it.
    pub(super) const fn by_digest(&self) -> &Cmd {
        &self.by_digest
    }

    /// The call with the script itself, which the server keeps for the next one.
    pub(super) fn by_code(&self) -> Cmd {
        let mut command = redis::cmd("EVAL");
        command.arg(self.script.code);
        for rest in simple(&self.by_digest).skip(2) {
            command.arg(rest);
        }
        command
    }
}

fn simple(command: &Cmd) -> impl Iterator<Item = &[u8]> {
    command
        .args_iter()
        .filter_map(|argument| if let Arg::Simple(bytes) = argument { Some(bytes) } else { None })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_by_code_is_the_same_call() {
        let script = Script::new("return 1");
        let mut call = script.call(&["{a}:one", "{a}:two"]);
        call.arg("upload").arg(7).arg("");

        let by_digest: Vec<&[u8]> = simple(call.by_digest()).collect();
        let by_code = call.by_code();
        let by_code: Vec<&[u8]> = simple(&by_code).collect();

        assert_eq!(call.first_key(), b"{a}:one");
        assert_eq!(by_digest[..2], [b"EVALSHA".as_slice(), script.digest.as_bytes()]);
        assert_eq!(by_code[..2], [b"EVAL".as_slice(), b"return 1"]);
        assert_eq!(by_digest[2..], by_code[2..]);
        assert_eq!(by_code[2..], [b"2".as_slice(), b"{a}:one", b"{a}:two", b"upload", b"7", b""]);
    }
}
