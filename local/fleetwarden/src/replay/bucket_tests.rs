//! Replays of an archive in a bucket: a server on this machine that lists it page by page.

use super::bucket::Bucket;
use super::report::Report;
use super::tests::{EXPIRING, POLICY, key, objects, plan};
use super::*;
use crate::aws::settings::Settings;
use crate::aws::settings::tests::at;
use crate::aws::stand_in::{judge, said, serve};
use http_body_util::Full;
use hyper::{Request, Response};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Fewer than there are objects.
const PAGE: usize = 5;

/// A bucket, and what was asked of it.
#[derive(Default)]
struct Server {
    objects: BTreeMap<String, Vec<u8>>,
    /// Keys that are listed and are not there.
    gone: Vec<String>,
    asked: Mutex<Vec<String>>,
}

impl Server {
    /// Answers on a free port, and gives the bucket's settings.
    async fn start(self) -> (Arc<Self>, Settings) {
        let server = Arc::new(self);
        let answering = Arc::clone(&server);
        let endpoint = serve(move |request| Some(answering.answer(request))).await;
        (server, at(&endpoint))
    }

    fn answer(&self, request: &Request<Bytes>) -> Response<Full<Bytes>> {
        judge(request, "s3", &["x-amz-content-sha256"]);
        let asked = request.uri().to_string();
        let first = {
            let mut all = self.asked.lock().unwrap();
            all.push(asked.clone());
            all.iter().filter(|before| **before == asked).count() == 1
        };
        let path = request.uri().path().replace("%3D", "=");
        let refused = |status, code: &str| {
            said(status, format!("<Error><Code>{code}</Code><Message>why</Message></Error>"))
        };
        if let Some(key) = path.strip_prefix("/archive/").filter(|key| !key.is_empty()) {
            // The first answer for one of the checks is one that passes.
            return match self.objects.get(key) {
                Some(_) if first && key.contains(EXPIRING) => refused(503, "SlowDown"),
                Some(object) => said(200, object.clone()),
                None => refused(404, "NoSuchKey"),
            };
        }
        let query: BTreeMap<_, _> =
            form_urlencoded::parse(request.uri().query().unwrap().as_bytes()).into_owned().collect();
        assert_eq!((path.as_str(), query["list-type"].as_str()), ("/archive/", "2"));
        if query["prefix"].starts_with("denied") {
            return refused(403, "AccessDenied");
        }
        let after = query.get("continuation-token").cloned().unwrap_or_default();
        let mut keys: Vec<_> = self.objects.keys().chain(&self.gone).collect();
        keys.sort();
        let from: Vec<_> =
            keys.into_iter().filter(|key| key.starts_with(&query["prefix"]) && **key > after).collect();
        let mut xml = String::from(r#"<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">"#);
        let more = from.len() > PAGE;
        for key in from.iter().take(PAGE) {
            let size = self.objects.get(*key).map_or(1, Vec::len);
            let _ = write!(xml, "<Contents><Key>{key}</Key><Size>{size}</Size></Contents>");
        }
        let _ = write!(xml, "<IsTruncated>{more}</IsTruncated>");
        if more {
            let _ = write!(xml, "<NextContinuationToken>{}</NextContinuationToken>", from[PAGE - 1]);
        }
        said(200, xml + "</ListBucketResult>")
    }
}

/// Replays from a thread that may wait, as the command does.
async fn replay(place: &'static str, settings: Settings) -> anyhow::Result<String> {
    let bucket = Bucket::list(place, Days::default(), settings).await?;
    let runtime = tokio::runtime::Handle::current();
    let replayed = tokio::task::spawn_blocking(move || {
        let policy = Policy::parse(POLICY.as_bytes()).unwrap();
        let stop = AtomicBool::new(false);
        let feed = |to| runtime.block_on(bucket.feed(to));
        let replay = Replay::run(plan(&policy), feed, &ProgressBar::hidden(), &stop);
        serde_json::to_string(&Report::new(replay, "archive".into(), "policy.yaml".into(), None)).unwrap()
    });
    Ok(replayed.await?)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_is_replayed_as_a_folder_is() {
    let mut server = Server { objects: objects().into_iter().collect(), ..Server::default() };
    server.objects.insert("findings/none".into(), b"no finding".to_vec());
    let (server, settings) = server.start().await;
    let report: serde_json::Value =
        serde_json::from_str(&replay("archive", settings).await.unwrap()).unwrap();
    assert_eq!((report["objects"].as_u64(), report["findings"].as_u64()), (Some(12), Some(72)));
    assert_eq!(report["damage"]["objects"], 0);
    let asked = server.asked.lock().unwrap();
    let lists = asked.iter().filter(|asked| asked.contains("list-type")).count();
    // Thirteen objects are three pages, and no alarms are one; one check's three objects are asked for a second time.
    assert_eq!((lists, asked.len()), (4, 4 + 12 + 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_cannot_be_had_is_named() {
    let gone = vec![key(3, EXPIRING)];
    let (_, settings) =
        Server { objects: objects().into_iter().collect(), gone, ..Server::default() }.start().await;
    let report: serde_json::Value =
        serde_json::from_str(&replay("archive", settings).await.unwrap()).unwrap();
    assert_eq!((report["findings"].as_u64(), report["damage"]["objects"].as_u64()), (Some(72), Some(1)));
    assert_eq!(report["damage"]["named"][0]["why"], "S3 answered 404: NoSuchKey why");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_cannot_be_listed_says_why() {
    let (_, settings) = Server::default().start().await;
    let error = replay("archive/denied", settings).await.unwrap_err();
    assert_eq!(
        format!("{error:#}"),
        "cannot list s3://archive/denied/findings/: S3 answered 403: AccessDenied why"
    );
}
