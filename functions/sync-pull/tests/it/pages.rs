//! Pages: in records and in bytes.

use serde_json::{Value, json};
use testing::World;
use testing::http::{Client, Method};

/// A tenant's clients that push and pull.
pub(crate) async fn tenant() -> (World, Client, Client) {
    let world = World::new().await;
    let push = world.serve("sync-push", sync_push::State::connect, sync_push::routes).await;
    let pull = world.serve("sync-pull", sync_pull::State::connect, sync_pull::routes).await;
    let license = world.license(world.tenant("acme").await, "ENT", 5).await;
    let token = world.access_token(&license).await;
    (world, push.bearer(token.clone()), pull.bearer(token))
}

/// Pushes decisions whose contents have these many bytes, as many at once as go.
async fn push(client: &Client, sizes: &[usize]) {
    let frame = r#"{"text":""}"#.len();
    for (n, chunk) in sizes.chunks(12).enumerate() {
        let record = |(m, size): (usize, &usize)| {
            let content = json!({"text": "x".repeat(size - frame)});
            json!({"kind": "decision", "id": format!("r{:04}", 12 * n + m), "content": content, "updated_at": "2026-11-01T10:00:00Z"})
        };
        let records: Vec<Value> = chunk.iter().enumerate().map(record).collect();
        let answer = client.post("/api/v1/context/push", json!({"device_id": "a", "records": records}), 200).await;
        assert!(
            answer.body["results"].as_array().unwrap().iter().all(|r| r["status"] == "created"),
            "{:#}",
            answer.body
        );
    }
}

/// The pages' contents in bytes, record by record.
async fn pages(pull: &Client, query: &str) -> Vec<Vec<usize>> {
    let (mut pages, mut cursor, mut next) = (Vec::new(), String::new(), 0);
    loop {
        let page = pull.get(&format!("/api/v1/context/pull?{query}{cursor}"), 200).await;
        let records = page.body["records"].as_array().unwrap();
        for record in records {
            assert_eq!(record["id"], format!("r{next:04}"), "in order, each once");
            next += 1;
        }
        pages.push(records.iter().map(|r| r["content"].to_string().len()).collect());
        if page.body["has_more"] == false {
            return pages;
        }
        cursor = format!("&cursor={}", page.text("/next_cursor"));
    }
}

#[tokio::test]
async fn a_page_of_long_contents_ends_at_four_mebibytes() {
    let (_world, push_to, pull) = tenant().await;
    let sizes: Vec<usize> = (0..60).map(|n| [256 << 10, 20, 200_000, 4096, 4097, 100_000][n % 6]).collect();
    push(&push_to, &sizes).await;
    for query in ["limit=1000", "limit=7", "limit=1", "limit=1000&kind=decision"] {
        let pages = pages(&pull, query).await;
        assert_eq!(pages.concat(), sizes, "{query}");
        assert!(pages.iter().all(|page| page.iter().sum::<usize>() <= 4 << 20), "{query}");
    }
    assert!(pages(&pull, "limit=1000").await.len() >= 2);
}

#[tokio::test]
async fn sixteen_of_the_largest_fill_a_page_to_the_byte() {
    let (_world, push_to, pull) = tenant().await;
    push(&push_to, &[256 << 10; 33]).await;
    let lengths: Vec<usize> = pages(&pull, "limit=1000").await.iter().map(Vec::len).collect();
    assert_eq!(lengths, [16, 16, 1]);
}

#[tokio::test]
async fn answers_are_compressed_where_that_is_wanted() {
    let (_world, push_to, pull) = tenant().await;
    push(&push_to, &[100_000; 3]).await;
    let request = pull.request(Method::GET, "/api/v1/context/pull").header("accept-encoding", "br, gzip");
    let answer = request.send().await.unwrap();
    assert_eq!(answer.headers()["content-encoding"], "gzip");
    assert!(answer.bytes().await.unwrap().len() < 20_000);
}

/// While a page is read and read again, its long contents change: each record is there once per version, and in the end as it is.
#[tokio::test]
async fn a_content_that_changes_while_its_page_is_read_comes_again() {
    let (_world, push_to, pull) = tenant().await;
    push(&push_to, &[20_000; 30]).await;
    let writer = tokio::spawn(async move {
        for version in 1..=20 {
            let records: Vec<Value> = (0..30)
                .map(|n| {
                    json!({"kind": "decision", "id": format!("r{n:04}"), "content": {"text": format!("{version:020000}")},
                    "updated_at": "2026-11-01T10:00:00Z", "base_version": version})
                })
                .collect();
            push_to.post("/api/v1/context/push", json!({"device_id": "a", "records": records}), 200).await;
        }
    });
    let (mut seen, mut cursor) = (std::collections::BTreeMap::new(), String::new());
    loop {
        let done = writer.is_finished();
        let page = pull.get(&format!("/api/v1/context/pull?limit=20{cursor}"), 200).await;
        for record in page.body["records"].as_array().unwrap() {
            let version = record["version"].as_u64().unwrap();
            let text: u64 = record["content"]["text"].as_str().unwrap().parse().unwrap_or(0);
            assert_eq!(text + 1, version, "a content of another version");
            let before = seen.insert(record["id"].as_str().unwrap().to_owned(), version);
            assert!(before.is_none_or(|before| before < version));
        }
        cursor = format!("&cursor={}", page.text("/next_cursor"));
        if done && page.body["has_more"] == false {
            break;
        }
    }
    writer.await.unwrap();
    assert!(seen.len() == 30 && seen.values().all(|version| *version == 21), "{seen:?}");
}
