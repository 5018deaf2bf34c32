//! `softlaunch certs`: an authority for development, and certificates that services know each
//! other by.

use std::path::Path;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};
use service_kit::access::Noun;
use service_kit::clock::real_now;
use service_kit::tls::SPIFFE;
use time::{Duration, OffsetDateTime};

use crate::arguments::CertsArguments;
use crate::failure::Failure;
use crate::output::say;
use crate::private::{create_dir, replace};

/// Of the authority's certificate.
pub(crate) const AUTHORITY: &str = "ca.pem";
const AUTHORITY_KEY: &str = "ca.key";
const AUTHORITY_DAYS: i64 = 3_650;
const BACKDATED: Duration = Duration::hours(1); // Clocks differ.

type Authority = Issuer<'static, KeyPair>;

pub(crate) fn run(arguments: &CertsArguments) -> Result<(), Failure> {
    let directory = &arguments.out;
    create_dir(directory)?;
    let (authority, is_new) = authority(directory)?;
    for noun in Noun::ALL {
        certificate(directory, noun, &authority, arguments)?;
    }
    introduce(arguments, is_new);
    Ok(())
}

fn made(error: &rcgen::Error) -> Failure {
    Failure::refused(format!("a certificate cannot be made: {error}"))
}

/// The authority that is there; a new one where none is.
fn authority(directory: &Path) -> Result<(Authority, bool), Failure> {
    let (certificate, key) = (directory.join(AUTHORITY), directory.join(AUTHORITY_KEY));
    match (certificate.exists(), key.exists()) {
        (true, true) => {
            let read = |path: &Path| {
                std::fs::read_to_string(path).map_err(|error| {
                    Failure::refused(format!("cannot read {}: {error}", path.display()))
                })
            };
            let unusable = |error: rcgen::Error| {
                Failure::refused(format!("{} cannot be used: {error}", directory.display()))
            };
            let pair = KeyPair::from_pem(&read(&key)?).map_err(unusable)?;
            let issuer = Issuer::from_ca_cert_pem(&read(&certificate)?, pair).map_err(unusable)?;
            Ok((issuer, false))
        }
        (false, false) => {
            let pair = KeyPair::generate().map_err(|error| made(&error))?;
            let mut params = valid(CertificateParams::default(), AUTHORITY_DAYS)?;
            params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
            params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
            params.distinguished_name.push(DnType::CommonName, "Softlaunch development authority");
            let own = params.self_signed(&pair).map_err(|error| made(&error))?;
            replace(&key, &pair.serialize_pem())?;
            replace(&certificate, &own.pem())?;
            Ok((Issuer::new(params, pair), true))
        }
        (there, _) => {
            let (lonely, gone) = if there { (certificate, key) } else { (key, certificate) };
            let (lonely, gone) = (lonely.display(), gone.display());
            Err(Failure::refused(format!(
                "{lonely} is there and {gone} is not: take another --out"
            )))
        }
    }
}

/// One certificate for both directions: a service shows it to callers, and to those it calls.
fn certificate(
    directory: &Path,
    noun: Noun,
    authority: &Authority,
    arguments: &CertsArguments,
) -> Result<(), Failure> {
    let mut names = ["localhost", "127.0.0.1", "::1"].map(str::to_owned).to_vec();
    names.extend([noun.to_string(), format!("{noun}-service")]);
    names.extend(arguments.names.iter().cloned());
    let params = CertificateParams::new(names)
        .map_err(|error| Failure::usage(format!("--name: {error}")))?;
    let mut params = valid(params, i64::from(arguments.days))?;
    let identity = format!("{SPIFFE}{noun}").try_into().map_err(|error| made(&error))?;
    params.subject_alt_names.push(SanType::URI(identity));
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    params.distinguished_name.push(DnType::CommonName, noun.as_str());
    params.use_authority_key_identifier_extension = true;
    let pair = KeyPair::generate().map_err(|error| made(&error))?;
    let own = params.signed_by(&pair, authority).map_err(|error| made(&error))?;
    replace(&directory.join(format!("{noun}.key")), &pair.serialize_pem())?;
    replace(&directory.join(format!("{noun}.pem")), &own.pem())
}

fn valid(mut params: CertificateParams, days: i64) -> Result<CertificateParams, Failure> {
    let now = OffsetDateTime::from_unix_timestamp(real_now().as_seconds())
        .map_err(|error| Failure::refused(format!("the clock is out of its mind: {error}")))?;
    params.not_before = now - BACKDATED;
    params.not_after = now + Duration::days(days);
    Ok(params)
}

fn introduce(arguments: &CertsArguments, is_new: bool) {
    let (dir, days) = (arguments.out.display(), arguments.days);
    let authority = if is_new { "Made an authority" } else { "Went on with the authority" };
    say(format!(
        "{authority} in {dir}, and a certificate for every service, good for {days} days:"
    ));
    say("  ca.pem                whom services and callers trust");
    say("  ca.key                whoever has it can be any service: keep it away from them");
    say("  NOUN.pem, NOUN.key    of flag, gate, killswitch, comms and rollout");
    say("All keys can be read by you only. For development: nothing here is ever revoked.");
    say("A service takes them in its settings, e.g. the flag service:");
    say(format!("  [server]\n  tls_cert_file = \"{dir}/flag.pem\""));
    say(format!("  tls_key_file = \"{dir}/flag.key\"\n  tls_client_ca_file = \"{dir}/ca.pem\""));
    say(format!("  [identity]\n  tokens_file = \"{dir}/tokens.toml\""));
    say(format!(
        "  [peers]\n  killswitch = \"https://127.0.0.1:7103\"\n  tls_ca_file = \"{dir}/ca.pem\""
    ));
    say(format!("  tls_cert_file = \"{dir}/flag.pem\"\n  tls_key_file = \"{dir}/flag.key\""));
    say("Or all of them at once, and a first token for yourself:");
    say(format!(
        "  softlaunch tokens add --file {dir}/tokens.toml --subject NAME --role operator,approver \\"
    ));
    say(format!("    --secret-file {dir}/NAME.token"));
    say(format!("  softlaunch up --secure {dir}"));
}
