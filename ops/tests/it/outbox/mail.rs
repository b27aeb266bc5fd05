//! Tests of mails as their recipients get them.

use serde_json::json;

use super::Outbox;
use crate::sink::Sink;

#[tokio::test]
async fn the_license_key_arrives_once_and_is_wiped() {
    let sink = Sink::start();
    let outbox = Outbox::with(&sink).await;
    let id = outbox.key_mail("ann@example.com").await;
    outbox.delivers().await;
    let mail = sink.mail();
    assert_eq!(mail.recipients(), &json!(["ann@example.com"]));
    assert_eq!(mail.0["sender"], "no-reply@coditect.ai");
    assert_eq!(mail.header("From"), "CODITECT <no-reply@coditect.ai>");
    assert_eq!(mail.header("To"), "acme <ann@example.com>");
    assert_eq!(mail.header("Subject"), "Your CODITECT license key: TEAM, 5 seats");
    assert_eq!(mail.header("Message-ID"), format!("<{id}@coditect.ai>"));
    assert!(mail.header("Content-Type").contains("utf-8") && mail.header("Auto-Submitted") == "auto-generated");
    assert!(mail.header("Date").ends_with("+0000"), "{mail:?}");
    assert!(mail.text().contains(&format!("    coditect activate {}\n", outbox.key)), "{}", mail.text());
    assert!(mail.text().contains("can't be shown again") && mail.text().contains(&outbox.license.to_string()));
    let entry = outbox.entry(id).await;
    assert_eq!((entry.state.as_str(), entry.attempts, entry.has_secret), ("delivered", 1, false));

    assert!(outbox.ops.plain(&["outbox", "deliver"]).await.err.contains("0 delivered"));
    outbox.wait().await;
    outbox.delivers().await;
    assert_eq!(sink.mails().len(), 1, "once");
}

#[tokio::test]
async fn mail_that_names_nobody_goes_to_the_owner_or_dies_with_a_sentence() {
    let sink = Sink::start();
    let outbox = Outbox::with(&sink).await;
    let id = outbox.add("mail", outbox.about_key(None), true).await;
    let said = outbox.fails().await;
    assert!(said.contains("ops user add --role owner") && said.contains(&format!("ops outbox retry {id}")), "{said}");
    let entry = outbox.entry(id).await;
    assert_eq!((entry.state.as_str(), entry.attempts, entry.has_secret), ("dead", 1, true), "{entry:?}");

    let user = |email: &'static str, role: &'static str| {
        let args = ["user", "add", "--tenant", "acme", "--email", email, "--role", role];
        let ops = &outbox.ops;
        async move { ops.plain(&args).await }
    };
    user("member@example.com", "member").await;
    user("first@example.com", "owner").await;
    user("second@example.com", "owner").await;
    outbox.ops.plain(&["outbox", "retry", &id.to_string()]).await;
    outbox.add("mail", outbox.about_key(Some(" ")), true).await;
    outbox.delivers().await;
    let to: Vec<_> = sink.mails().iter().map(|m| m.recipients().clone()).collect();
    assert_eq!(to, [json!(["first@example.com"]), json!(["first@example.com"])]);
}

#[tokio::test]
async fn names_of_all_languages_arrive_and_none_adds_a_header() {
    let sink = Sink::start();
    let outbox = Outbox::with(&sink).await;
    let plain = [
        "Auto-Submitted",
        "Content-Transfer-Encoding",
        "Content-Type",
        "Date",
        "From",
        "MIME-Version",
        "Message-ID",
        "Subject",
        "To",
    ];
    for (number, (name, shown)) in [
        ("Žluťoučký kůň, spol. s r. o.", "Žluťoučký kůň, spol. s r. o."),
        (
            "株式会社コーディテクト 研究開発本部 第一ソフトウェア技術部",
            "株式会社コーディテクト 研究開発本部 第一ソフトウェア技術部",
        ),
        ("\"Quote\" <eve@example.com>, \\Ltd", "\"Quote\" <eve@example.com>, \\Ltd"),
        ("Acme\r\nBcc: eve@example.com\r\n\r\nHello", "Acme  Bcc: eve@example.com    Hello"),
        ("Acme\nSubject: other", "Acme Subject: other"),
    ]
    .into_iter()
    .enumerate()
    {
        let sql = outbox.ops.world.db.connect("postgres").await;
        sql.execute("update tenants set name = $1", &[&name]).await.unwrap();
        outbox.key_mail("ann@example.com").await;
        outbox.delivers().await;
        let mails = sink.mails();
        let mail = &mails[number];
        assert_eq!(mail.recipients(), &json!(["ann@example.com"]), "{name}");
        assert_eq!(mail.names(), plain, "{name}");
        let to = mail.header("To");
        assert!(to.ends_with("<ann@example.com>"), "{to}");
        let read =
            to.trim_end_matches(" <ann@example.com>").trim_matches('"').replace("\\\"", "\"").replace("\\\\", "\\");
        assert_eq!(read.trim_matches('"'), shown.trim_matches('"'), "{to}");
        assert!(mail.text().contains(&format!("\nOrganization: {shown}\n")), "{}", mail.text());
    }
}

#[tokio::test]
async fn an_address_that_is_none_dies_at_once_and_nobody_gets_anything() {
    let sink = Sink::start();
    let outbox = Outbox::with(&sink).await;
    for address in [
        "ann",
        "ann@example.com, eve@example.com",
        "ann@example.com\r\nRCPT TO:<eve@example.com>",
        "ann@example.com>\r\nDATA\r\nBcc: eve@example.com",
        "Ann <ann@example.com>",
        "ann@example.com\nBcc: eve@example.com",
    ] {
        let id = outbox.key_mail(address).await;
        let said = outbox.fails().await;
        assert!(said.contains("is not an e-mail address") && said.lines().count() == 2, "{said}");
        assert_eq!(outbox.state(id).await, "dead");
    }
    assert!(sink.mails().is_empty());
}

#[tokio::test]
async fn addresses_beyond_ascii_need_a_server_that_takes_them() {
    let (able, unable) = (Sink::start(), Sink::with(&["--no-smtputf8"]));
    let mut outbox = Outbox::with(&unable).await;
    let id = outbox.key_mail("žofie@příklad.cz").await;
    assert!(outbox.fails().await.contains("SMTPUTF8"));
    assert_eq!(outbox.state(id).await, "pending");
    outbox.ops.set("SMTP_URL", Some(&able.url()));
    outbox.wait().await;
    outbox.delivers().await;
    assert_eq!(able.mail().0["recipients"], json!(["žofie@příklad.cz"]));
    assert!(unable.mails().is_empty());
}

#[tokio::test]
async fn without_a_server_mail_is_printed_and_then_delivered() {
    let outbox = Outbox::new().await;
    let id = outbox.key_mail("ann@example.com").await;
    let printed = outbox.ops.plain(&["outbox", "deliver"]).await;
    for part in ["to: acme <ann@example.com>\n", &format!("message_id: <{id}@coditect.ai>\n"), &outbox.key.to_string()]
    {
        assert!(printed.out.contains(part), "{part}: {}", printed.out);
    }
    assert!(printed.err.contains("1 delivered"), "{printed:?}");
    let entry = outbox.entry(id).await;
    assert_eq!((entry.state.as_str(), entry.has_secret), ("delivered", false));

    let deliver = ["outbox", "deliver"];
    let nothing = outbox.ops.json(&deliver).await;
    assert_eq!(nothing, json!({"data": [], "delivered": 0, "failures": []}));
    outbox.key_mail("ann@example.com").await;
    outbox.key_mail("bob@example.com").await;
    let told = outbox.ops.json(&deliver).await;
    let mails = told["data"].as_array().unwrap();
    assert_eq!((mails.len(), &told["delivered"]), (2, &json!(2)));
    assert_eq!(mails[0]["subject"], "Your CODITECT license key: TEAM, 5 seats");
    assert!(mails[1]["text"].as_str().unwrap().contains(&outbox.key.to_string()), "{told}");

    let dead = outbox.key_mail("nobody").await;
    let ended = outbox.ops.run(&["outbox", "deliver", "--json"]).await;
    assert_eq!((ended.status, ended.err.as_str()), (1, ""), "{ended:?}");
    let told = ended.object();
    assert_eq!(told["failures"], json!([{"id": dead, "error": "nobody is not an e-mail address.", "dead": true}]));
    assert!(told["error"].as_str().unwrap().ends_with('.'), "{told}");
}

#[tokio::test]
async fn what_could_not_be_printed_stays_due() {
    let outbox = Outbox::new().await;
    let id = outbox.key_mail("ann@example.com").await;
    for args in [&["outbox", "deliver"][..], &["outbox", "deliver", "--json"], &["outbox", "deliver", "--watch", "1"]] {
        let mut command = crate::ops_cli::command(&outbox.ops.environment, args);
        command.stdout(std::fs::File::create("/dev/full").unwrap()).stderr(std::process::Stdio::null());
        let status = tokio::task::spawn_blocking(move || command.status()).await.unwrap().unwrap();
        assert_eq!(status.code(), Some(2), "{args:?}");
        let entry = outbox.entry(id).await;
        assert_eq!((entry.state.as_str(), entry.has_secret), ("pending", true));
        outbox.wait().await;
    }
    assert!(outbox.ops.plain(&["outbox", "deliver"]).await.out.contains(&outbox.key.to_string()));
}
