//! How long the command line takes to replay a million archived findings through a policy, and with how much memory.
//!
//! The archive is written once, as the functions write it: 25 audits of 40,000 findings, 250 an object.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use flate2::Compression;
use flate2::write::GzEncoder;
use fleetwarden_core::ids::check::KNOWN;
use serde_json::Value;

use super::{Bench, median};
use crate::report::Target;

const AUDITS: u32 = 25;
const PAGES: u32 = 160;
const PAGE: u32 = 250;
const FINDINGS: u32 = AUDITS * PAGES * PAGE;
const ROUNDS: usize = 5;
/// 2026-11-01T06:00:00Z.
const FIRST: i64 = 1_793_512_800_000;
const DAY: i64 = 24 * 3600 * 1000;

const POLICY: &str = "
version: 1
rules:
  - name: lab
    match: { check: '*CERTIFICATE*', resource: '0*', seenAtLeast: 3 }
    suppress: { for: 90d, reason: of the laboratory }
  - name: revoked
    match: { check: REVOKED_*, severity: [CRITICAL, HIGH] }
    mitigate: { actions: Deactivate }
  - name: soon
    match: { check: DEVICE_CERTIFICATE_EXPIRING_CHECK, expiresWithin: 30d }
    report: { severity: high }
  - name: policies
    match: { check: IOT_POLICY_*, reason: '*WILDCARD*' }
    report: { silent: true }
";

/// Measures: the command's wall time and the most that was ever resident, for one policy and for two.
pub(crate) fn measure(bench: &mut Bench) -> Result<()> {
    let folder = bench.places.root.join("target/bench/replay");
    let archive = archive(&folder.join("archive"))?;
    let policy = folder.join("policy.yaml");
    let other = folder.join("other.yaml");
    fs::write(&policy, POLICY)?;
    fs::write(&other, POLICY.replace("'0*'", "['0*', '1*']"))?;
    let command = bench.places.binary("fleetwarden");
    let bar = Bench::bar("replay", 2 * ROUNDS)?;
    let of = |other: Option<&Path>| -> Result<(f64, f64)> {
        let (mut seconds, mut most) = (Vec::with_capacity(ROUNDS), 0.0_f64);
        for _ in 0..ROUNDS {
            let (took, peak) = replay(&command, &archive, &policy, other)?;
            seconds.push(took * 1e6 / f64::from(FINDINGS));
            most = most.max(peak);
            bar.inc(1);
        }
        Ok((median(seconds), most))
    };
    let (seconds, most) = of(None)?;
    let (against_seconds, against_most) = of(Some(&other))?;
    let report = &mut bench.report;
    let what = "replay of a million findings, s";
    report.row("replay_seconds_per_million", what, seconds, Target::AtMost(10.0));
    report.row("replay_rss_mb", "… in memory, MB", most, Target::AtMost(64.0));
    report.note("replay_against_seconds_per_million", against_seconds);
    report.note("replay_against_rss_mb", against_most);
    Ok(())
}

/// The archive's folder, written unless it is there.
fn archive(folder: &Path) -> Result<PathBuf> {
    let done = folder.join("done");
    if done.exists() {
        return Ok(folder.to_owned());
    }
    let bar = Bench::bar("writing an archive", usize::try_from(AUDITS * PAGES)?)?;
    for audit in 0..AUDITS {
        for page in 0..PAGES {
            let check = KNOWN.get(page as usize % KNOWN.len()).copied().unwrap_or_default();
            let day = format!("2026-11-{:02}", audit + 1);
            let partition = format!("findings/account=123456789012/region=us-east-1/day={day}/check={check}");
            let below = folder.join(partition);
            fs::create_dir_all(&below)?;
            let object = object(audit, page, check)?;
            fs::write(below.join(format!("{audit:032x}-{page:05}.ndjson.gz")), object)?;
            bar.inc(1);
        }
    }
    File::create(done)?;
    Ok(folder.to_owned())
}

/// A page of findings: of a certificate each, known for as many audits as there were.
fn object(audit: u32, page: u32, check: &str) -> io::Result<Vec<u8>> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    let at = FIRST + i64::from(audit) * DAY;
    for number in page * PAGE..(page + 1) * PAGE {
        // Ids look random to a compressor, as real ones do.
        let random = |salt: u64| {
            let mut hash = (u64::from(number) << 8 | salt).wrapping_mul(0x9E37_79B9_7F4A_7C15);
            hash ^= hash >> 29;
            hash = hash.wrapping_mul(0xBF58_476D_1CE4_E5B9);
            hash ^ hash >> 32
        };
        let key: [u64; 2] = [1, 2].map(random);
        let certificate: [u64; 4] = [3, 4, 5, 6].map(random);
        let (key, certificate) = (hex(&key), hex(&certificate));
        let (id, expires) =
            (hex(&[random(7) ^ at.unsigned_abs(), random(8)]), at + i64::from(number % 90) * DAY);
        let (seen, found) = (audit + 1, at + i64::from(number));
        let severity =
            ["CRITICAL", "HIGH", "MEDIUM", "LOW"].get(number as usize % 4).copied().unwrap_or_default();
        let status = if audit == 0 { "new" } else { "known" };
        writeln!(
            gzip,
            r#"{{"kind":"finding","account":"123456789012","region":"us-east-1","taskId":"{audit:032x}","schedule":"daily","auditStartedAt":{at},"key":"{key}","status":"{status}","firstSeen":{FIRST},"timesSeen":{seen},"findingId":"{id}","check":"{check}","severity":"{severity}","foundAt":{found},"resource":{{"resourceType":"DEVICE_CERTIFICATE","resourceIdentifier":{{"deviceCertificateId":"{certificate}"}},"additionalInfo":{{"CERTIFICATE_NAME":"device-{number}","EXPIRATION_TIME":"{expires}"}}}},"reasonCode":"CERTIFICATE_APPROACHING_EXPIRATION","reason":"The certificate is going to expire before long.","suppressed":false,"decision":{{"outcome":"report","rule":"people-decide-on-the-rest","passedOver":[{{"rule":"accepted-until-replaced","failedOn":"severity","saw":"{severity}"}},{{"rule":"weak-keys-go-off","failedOn":"reason","saw":"CERTIFICATE_APPROACHING_EXPIRATION"}}],"mode":"observe","policy":"0123456789abcdef0123456789abcdef"}}}}"#,
        )?;
    }
    gzip.finish()
}

fn hex(numbers: &[u64]) -> String {
    numbers.iter().fold(String::new(), |hex, number| format!("{hex}{number:016x}"))
}

/// Runs the command: its seconds, and its peak in MB.
fn replay(command: &Path, archive: &Path, policy: &Path, other: Option<&Path>) -> Result<(f64, f64)> {
    let mut command = Command::new(command);
    command.args(["policy", "replay", "--json", "--archive"]).arg(archive).arg("--policy").arg(policy);
    if let Some(other) = other {
        command.arg("--against").arg(other);
    }
    let output = tempfile::tempfile()?;
    command.stdout(output.try_clone()?).stderr(Stdio::inherit()).stdin(Stdio::null());
    let began = Instant::now();
    let mut child = command.spawn().with_context(|| format!("{command:?}: is it built?"))?;
    let mut peak = 0.0_f64;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        peak = peak.max(resident(&child).unwrap_or_default());
        std::thread::sleep(Duration::from_millis(5));
    };
    let seconds = began.elapsed().as_secs_f64();
    ensure!(status.success(), "the replay ended with {status}");
    let report: Value = serde_json::from_reader(rewound(output)?)?;
    let findings = report.get("findings").and_then(Value::as_u64);
    ensure!(findings == Some(u64::from(FINDINGS)), "the replay counted {findings:?} findings");
    Ok((seconds, peak))
}

fn rewound(mut file: File) -> io::Result<io::BufReader<File>> {
    io::Seek::rewind(&mut file)?;
    Ok(io::BufReader::new(file))
}

/// The most that was resident so far, in MB.
fn resident(child: &Child) -> Option<f64> {
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).ok()?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u32 = peak.trim().trim_end_matches(" kB").parse().ok()?;
    Some(f64::from(kibibytes) * 1024.0 / 1e6)
}
