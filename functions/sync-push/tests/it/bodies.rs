//! Bodies: compressed, broken, and far too large once they are not.

use std::io::Write as _;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testing::http::{Answer, Method};

use crate::cloud::{Cloud, PUSH, decision};

/// The most that a push may be.
const MOST: usize = 4 << 20;
const AT: &str = "2026-11-01T10:00:00Z";

async fn send(cloud: &Cloud, encoding: &str, body: Vec<u8>) -> Answer {
    let request = cloud.push.request(Method::POST, PUSH).header("content-type", "application/json");
    cloud.push.send_any(request.header("content-encoding", encoding).body(body)).await
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 19).unwrap()
}

fn body(ids: impl Iterator<Item = String>, text: &str) -> Vec<u8> {
    let records: Vec<Value> = ids.map(|id| decision(&id, text, AT)).collect();
    json!({"device_id": "a", "records": records}).to_string().into_bytes()
}

/// A push of this many bytes in all, with ignored room in it.
fn of_length(length: usize) -> Vec<u8> {
    let frame = r#"{"device_id":"a","records":[],"room":""}"#;
    format!(r#"{{"device_id":"a","records":[],"room":"{}"}}"#, "x".repeat(length - frame.len())).into_bytes()
}

fn problem(answer: &Answer, status: u16, code: &str) {
    assert_eq!((answer.status, answer.text("/code")), (status, code), "{:#}", answer.body);
    assert_eq!(answer.header("content-type"), "application/problem+json");
}

#[tokio::test]
async fn gzip_and_zstd_are_read_and_nothing_else() {
    let cloud = Cloud::new().await;
    let plain = |n: usize| body((0..400).map(|i| format!("{n}-{i}")), &"text ".repeat(100));
    for (n, encoding) in ["gzip", "x-gzip", "GZip", "zstd", "identity", ""].into_iter().enumerate() {
        let bytes = match encoding {
            "zstd" => zstd(&plain(n)),
            "identity" | "" => plain(n),
            _ => gzip(&plain(n)),
        };
        let answer = send(&cloud, encoding, bytes).await;
        assert_eq!(answer.status, 200, "{encoding}: {:#}", answer.body);
        assert_eq!(answer.body["results"].as_array().unwrap().len(), 400);
    }
    // Some compressors write several members.
    let (first, second) = (plain(9), plain(9));
    let members = [gzip(&first[..1000]), gzip(&second[1000..])].concat();
    assert_eq!(send(&cloud, "gzip", members).await.status, 200);
    assert_eq!(cloud.status().await["records"]["used"], 7 * 400);

    for encoding in ["br", "deflate", "compress", "gzip, gzip", "gzip,zstd", "aws-chunked", "x"] {
        problem(&send(&cloud, encoding, gzip(&plain(0))).await, 415, "unsupported_media_type");
    }
}

#[tokio::test]
async fn what_cannot_be_decompressed_is_a_400() {
    let cloud = Cloud::new().await;
    let plain = body((0..400).map(|i| i.to_string()), "text");
    let (gzipped, zstded) = (gzip(&plain), zstd(&plain));
    let flipped = |bytes: &[u8]| {
        let mut bytes = bytes.to_vec();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0x55;
        bytes
    };
    for (what, encoding, bytes) in [
        ("half", "gzip", gzipped[..gzipped.len() / 2].to_vec()),
        ("without its end", "gzip", gzipped[..gzipped.len() - 1].to_vec()),
        ("flipped", "gzip", flipped(&gzipped)),
        ("something behind it", "gzip", [gzipped.clone(), b"rest".to_vec()].concat()),
        ("not at all", "gzip", plain.clone()),
        ("nothing", "gzip", Vec::new()),
        ("the other", "gzip", zstded.clone()),
        ("twice", "gzip", gzip(&gzipped)),
        ("half", "zstd", zstded[..zstded.len() / 2].to_vec()),
        ("without its end", "zstd", zstded[..zstded.len() - 1].to_vec()),
        ("flipped", "zstd", flipped(&zstded)),
        ("something behind it", "zstd", [zstded.clone(), b"rest".to_vec()].concat()),
        ("not at all", "zstd", plain.clone()),
        ("nothing", "zstd", Vec::new()),
        ("the other", "zstd", gzipped.clone()),
        ("twice", "zstd", zstd(&zstded)),
        ("compressed and not said", "identity", gzipped.clone()),
    ] {
        let answer = send(&cloud, encoding, bytes).await;
        assert_eq!((answer.status, answer.text("/code")), (400, "malformed_body"), "{encoding}, {what}");
    }
    // A window of 2 GiB, which a decoder would have to keep.
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
    encoder.window_log(27).unwrap();
    encoder.write_all(&plain).unwrap();
    problem(&send(&cloud, "zstd", encoder.finish().unwrap()).await, 400, "malformed_body");
    let giant = [&[0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xa8, 0x01, 0x00, 0x00][..], &plain[..100]].concat();
    problem(&send(&cloud, "zstd", giant).await, 400, "malformed_body");
    assert_eq!(cloud.world.number("select count(*) from context_records").await, 0);
}

#[tokio::test]
async fn four_mebibytes_are_the_most_before_and_after() {
    let cloud = Cloud::new().await;
    assert_eq!(send(&cloud, "", of_length(MOST)).await.status, 200);
    problem(&send(&cloud, "", of_length(MOST + 1)).await, 413, "body_too_large");
    for compress in [gzip, zstd] {
        let encoding = if compress(b"")[0] == 0x1f { "gzip" } else { "zstd" };
        assert_eq!(send(&cloud, encoding, compress(&of_length(MOST))).await.status, 200, "{encoding}");
        problem(&send(&cloud, encoding, compress(&of_length(MOST + 1))).await, 413, "body_too_large");
    }
}

/// Fifty million bytes compressed to two thousand (gzip can't do better than fifty thousand), forty at once: the process's
/// memory is bounded meanwhile, and it continues to answer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bomb_is_a_413_and_takes_no_room() {
    let cloud = Cloud::new().await;
    let process = cloud.world.spawn(env!("CARGO_BIN_EXE_sync-push"), "coditect_sync_push").await;
    let own = process.client.bearer(cloud.push.credential());
    let bomb = vec![b' '; 50_000_000];
    let (gzipped, zstded) = (gzip(&bomb), zstd(&bomb));
    assert!(gzipped.len() < 60_000 && zstded.len() < 5_000, "{} and {}", gzipped.len(), zstded.len());
    let once = zstd(&zstd(&bomb));
    let began = Instant::now();
    let asked = (0..40).map(|n| {
        let (encoding, bytes) = if n % 2 == 0 { ("gzip", gzipped.clone()) } else { ("zstd", zstded.clone()) };
        let request = own.request(Method::POST, PUSH).header("content-type", "application/json");
        let (own, request) = (own.clone(), request.header("content-encoding", encoding).body(bytes));
        tokio::spawn(async move { own.send_any(request).await })
    });
    for answer in asked.collect::<Vec<_>>() {
        problem(&answer.await.unwrap(), 413, "body_too_large");
    }
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    let peak = process.peak_memory();
    assert!(peak < 200 << 20, "{} MiB", peak >> 20);
    problem(&send(&cloud, "zstd", once).await, 400, "malformed_body");
    own.post(PUSH, json!({"device_id": "a", "records": []}), 200).await;
}

/// Eighty bodies of the maximum size at once, each of some kilobytes on its way: those that find no memory are asked to retry.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pushes_that_unpack_to_as_much_as_they_may_share_the_memory() {
    let cloud = Cloud::new().await;
    let process = cloud.world.spawn(env!("CARGO_BIN_EXE_sync-push"), "coditect_sync_push").await;
    let own = process.client.bearer(cloud.push.credential());
    let bytes = gzip(&of_length(MOST));
    assert!(bytes.len() < 10_000);
    let asked = (0..80).map(|_| {
        let request = own.request(Method::POST, PUSH).header("content-type", "application/json");
        let (own, request) = (own.clone(), request.header("content-encoding", "gzip").body(bytes.clone()));
        tokio::spawn(async move { own.send_any(request).await })
    });
    let mut kept = 0;
    for answer in asked.collect::<Vec<_>>() {
        match answer.await.unwrap() {
            answer if answer.status == 200 => kept += 1,
            answer => problem(&answer, 503, "unavailable"),
        }
    }
    assert!(kept > 0);
    let peak = process.peak_memory();
    assert!(peak < 200 << 20, "{} MiB", peak >> 20);
}
