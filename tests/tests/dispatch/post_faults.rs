//! Post-action webhooks that fail, and runs that die: every endpoint gets its events, in order, at the latest after all
//! faults have ended.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use routing::RETRY_DELAYS_S;
use tests::carrier::sid;
use tests::crash::at_each_call;
use tests::json::text;
use tests::receiver::{Received, Receiver, Reply, parameters};
use tests::system::{OURS, TestSystem};
use tests::wire::Fault;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

on_both_engines!(
    a_fault_at_any_call_of_a_run_loses_and_doubles_nothing,
    a_run_that_is_killed_at_any_call_loses_nothing,
    a_run_killed_during_a_delivery_repeats_it_with_the_same_token,
    a_clock_that_is_killed_at_any_call_loses_nothing,
    a_long_backlog_survives_a_run_that_is_killed_on_its_way,
);

on_the_embedded_engine!(
    a_failed_delivery_is_repeated_with_the_same_token,
    pauses_grow_for_a_day_and_then_the_next_event_follows,
    a_clock_that_jumps_stops_at_every_attempt,
    attempts_are_counted_for_each_event,
    a_webhook_set_anew_does_not_wait_for_the_failures_of_the_old_one,
    a_retry_waits_at_least_as_long_as_retry_after,
    a_conversation_that_fails_holds_up_no_other,
    a_delivery_without_a_success_is_repeated_and_no_redirect_is_followed,
    every_2xx_status_with_any_body_is_a_success,
    a_misbehaving_server_gets_its_event_in_the_end,
    a_delivery_to_a_url_without_a_server_is_repeated,
);

/// Longer than any lease, and than the distance of the sweep.
const RECOVERY: Duration = Duration::from_secs(360);

fn of_conversation(received: &[Received], conversation: &str) -> Vec<Received> {
    received
        .iter()
        .filter(|received| received.parameter("ConversationSid") == Some(conversation))
        .cloned()
        .collect()
}

/// Asserts that the endpoint got all `count` events of a conversation in their order. A repeated delivery has the same
/// token, and comes before any later event.
#[track_caller]
fn assert_delivered_in_order(received: &[Received], conversation: &str, count: usize) {
    let own = of_conversation(received, conversation);
    let mut tokens: BTreeMap<usize, String> = BTreeMap::new();
    let mut last = 0;
    for received in &own {
        let sequence = received.parameter("Sequence").unwrap_or_default();
        let sequence: usize = sequence.parse().expect("a number");
        assert!(
            sequence == last || sequence == last + 1,
            "{:?}",
            parameters(&own, "Sequence")
        );
        last = sequence;
        let token = tokens.entry(sequence).or_insert_with(|| received.token());
        assert_eq!(*token, received.token(), "event {sequence}");
    }
    let all: Vec<usize> = (0..count).collect();
    let delivered: Vec<usize> = tokens.keys().copied().collect();
    assert_eq!(delivered, all, "of {conversation}");
    let mut distinct: Vec<&String> = tokens.values().collect();
    distinct.sort();
    distinct.dedup();
    assert_eq!(distinct.len(), count);
}

/// A conversation that a message makes, with three events.
async fn created(system: &TestSystem, number: u64) -> String {
    let from = format!("+1555100{number:04}");
    let answer = system.message(&sid(number), &from, OURS, "hello").await;
    assert!(answer.accepted(), "{}", answer.text());
    system.conversation_of(&from).await
}

async fn a_failed_delivery_is_repeated_with_the_same_token(system: TestSystem) {
    let failures = Arc::new(AtomicUsize::new(0));
    let counted = failures.clone();
    let receiver = Receiver::start(move |_| {
        let status = match counted.fetch_add(1, Ordering::SeqCst) {
            0 | 1 => 500,
            _ => 204,
        };
        Reply::new(status, "")
    })
    .await;
    let system = system.start_dispatcher().await;
    system.set_post_webhook(&receiver.url(), &[]).await;
    let created = system
        .post_with_webhooks("/v1/Conversations", &[("FriendlyName", "x")])
        .await
        .expect(201);
    receiver.wait_for(1).await;
    // After the delivery, the run still has to write when to try again.
    for _ in 0..200 {
        if receiver.received().len() >= 3 {
            break;
        }
        system.advance_by_door("PT40S").await;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let received = receiver.wait_for(3).await;
    let tokens: Vec<String> = received.iter().map(Received::token).collect();
    assert!(tokens.iter().all(|token| *token == tokens[0]), "{tokens:?}");
    let counts: Vec<_> = received
        .iter()
        .map(|received| received.parameter("RetryCount"))
        .collect();
    assert_eq!(counts, [Some("0"), Some("1"), Some("2")]);
    assert_eq!(
        received[2].parameter("ConversationSid"),
        Some(text(&created["sid"]).as_str())
    );
}

async fn pauses_grow_for_a_day_and_then_the_next_event_follows(system: TestSystem) {
    let refused = "onConversationAdded";
    let receiver = Receiver::start(move |received| {
        let status = match received.parameter("EventType") == Some(refused) {
            true => 500,
            false => 200,
        };
        Reply::new(status, "")
    })
    .await;
    system.set_post_webhook(&receiver.url(), &[]).await;
    system.autocreation(OURS).await;
    let conversation = created(&system, 0).await;
    let mut failed = system.app.clock.now();
    system.run(&conversation).await;
    assert_eq!(receiver.received().len(), 1);
    for (attempts, delay_s) in (1..).zip(RETRY_DELAYS_S) {
        // Before its due time no run tries again, in spite of rings, clock and sweep.
        let delay = Duration::from_secs(delay_s.unsigned_abs());
        let early = delay * 6 / 10;
        system.advance_and_tick(early).await;
        let from = format!("+1555100{:04}", 0);
        let body = attempts.to_string();
        system
            .message(&sid(100 + attempts), &from, OURS, &body)
            .await;
        system.run(&conversation).await;
        // On a slow machine a pause of seconds may be over by now.
        if system.app.clock.now() < failed + delay {
            assert_eq!(receiver.received().len() as u64, attempts, "{delay_s}");
        }
        // At its due time, and at most a tenth later, a run tries again.
        failed = system.app.clock.now() + (delay / 2);
        system
            .advance_and_tick(delay / 2 + Duration::from_secs(1))
            .await;
        let received = receiver.received();
        if attempts < RETRY_DELAYS_S.len() as u64 {
            assert_eq!(received.len() as u64, attempts + 1, "{delay_s}");
        }
    }
    let received = receiver.received();
    let (tried, rest) = received.split_at(11);
    let counts: Vec<String> = (0..11).map(|count| count.to_string()).collect();
    assert_eq!(parameters(tried, "RetryCount"), counts);
    let tokens: Vec<String> = tried.iter().map(Received::token).collect();
    assert!(tokens.iter().all(|token| *token == tokens[0]), "{tokens:?}");
    // All attempts have the same parameters, except for the count of retries.
    for attempt in tried {
        let mut said = attempt.form();
        said.remove("RetryCount");
        let mut first = tried[0].form();
        first.remove("RetryCount");
        assert_eq!(said, first);
    }
    let sequences: Vec<String> = (1..13).map(|number| number.to_string()).collect();
    assert_eq!(parameters(rest, "Sequence"), sequences);
    assert!(
        parameters(rest, "RetryCount")
            .iter()
            .all(|count| *count == "0")
    );
    assert!(rest.iter().all(|received| received.token() != tokens[0]));
}

/// Through the local stack's clock: a jump makes the attempts that passing time would make.
async fn a_clock_that_jumps_stops_at_every_attempt(system: TestSystem) {
    let failure = || Reply::new(500, "").after(Duration::from_millis(100));
    let receiver = Receiver::start(move |_| failure()).await;
    system.set_post_webhook(&receiver.url(), &[]).await;
    system.autocreation(OURS).await;
    let conversation = created(&system, 1).await;
    system.run(&conversation).await;
    assert_eq!(receiver.received().len(), 1);
    // Pauses grow by a tenth at most.
    let within = |seconds: f64| {
        let ends = RETRY_DELAYS_S.iter().scan(0.0, |end, pause| {
            *end += *pause as f64;
            Some(*end)
        });
        1 + ends.filter(|end| *end < seconds).count()
    };
    for (jump, seconds) in [("PT1H", 3_600.0), ("PT14H", 54_000.0)] {
        system.advance_by_door(jump).await;
        let received = receiver.received();
        let counts: Vec<String> = (0..within(seconds))
            .map(|count| count.to_string())
            .collect();
        assert_eq!(parameters(&received, "RetryCount"), counts, "{jump}");
    }
    // The last attempt at the first event, and the first at the second.
    system.advance_by_door("PT12H").await;
    let received = receiver.received();
    let second = received
        .iter()
        .filter(|received| received.parameter("Sequence") == Some("1"));
    assert!(second.count() >= 1);
    let first = received
        .iter()
        .filter(|received| received.parameter("Sequence") == Some("0"));
    assert_eq!(first.count(), RETRY_DELAYS_S.len() + 1);
}

/// The next event does not inherit the failures.
async fn attempts_are_counted_for_each_event(system: TestSystem) {
    let receiver = Receiver::start(|_| Reply::new(500, "")).await;
    system.set_post_webhook(&receiver.url(), &[]).await;
    system.autocreation(OURS).await;
    let conversation = created(&system, 0).await;
    system.run(&conversation).await;
    for pause in [6, 40] {
        system.advance_and_tick(Duration::from_secs(pause)).await;
    }
    assert_eq!(
        parameters(&receiver.received(), "RetryCount"),
        ["0", "1", "2"]
    );
    // The webhook is gone, and no endpoint is owed the failed events any more.
    let filters = [("Filters", "onMessageAdded")];
    system.set_post_webhook(&receiver.url(), &filters).await;
    system.advance_and_tick(Duration::from_secs(140)).await;
    let received = receiver.received();
    assert_eq!(received.len(), 4);
    let last = &received[3];
    assert_eq!(last.parameter("EventType"), Some("onMessageAdded"));
    assert_eq!(last.parameter("RetryCount"), Some("0"), "its own attempts");
    // It has its own pauses: the first is 5 s.
    receiver.answer(|_| Reply::new(200, ""));
    system.advance_and_tick(Duration::from_secs(6)).await;
    let received = receiver.received();
    assert_eq!(received.len(), 5, "tried again after the first pause");
    assert_eq!(received[4].parameter("RetryCount"), Some("1"));
}

async fn a_webhook_set_anew_does_not_wait_for_the_failures_of_the_old_one(system: TestSystem) {
    let old = Receiver::start(|_| Reply::new(500, "")).await;
    let new = Receiver::start(|_| Reply::new(200, "")).await;
    system.set_post_webhook(&old.url(), &[]).await;
    system.autocreation(OURS).await;
    let conversation = created(&system, 0).await;
    system.run(&conversation).await;
    for delay_s in &RETRY_DELAYS_S[..6] {
        let delay = Duration::from_secs(delay_s.unsigned_abs());
        system
            .advance_and_tick(delay * 11 / 10 + Duration::from_secs(1))
            .await;
    }
    assert_eq!(old.received().len(), 7);
    system.set_post_webhook("", &[]).await;
    system.set_post_webhook(&new.url(), &[]).await;
    system.message(&sid(1), "+15551000000", OURS, "after").await;
    system.run(&conversation).await;
    // The old endpoint's next attempt is due in two hours. The new endpoint must not wait for it.
    system.advance_and_tick(RECOVERY).await;
    let received = new.received();
    assert_eq!(parameters(&received, "Body"), ["after"]);
    assert_eq!(parameters(&received, "RetryCount"), ["0"]);
}

async fn a_retry_waits_at_least_as_long_as_retry_after(system: TestSystem) {
    let receiver = Receiver::start(|_| Reply::new(200, "")).await;
    system.set_post_webhook(&receiver.url(), &[]).await;
    system.autocreation(OURS).await;
    let http_date = |seconds: u64| {
        let at = system.app.clock.now() + Duration::from_secs(seconds);
        at.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
    };
    // The header, the time without an attempt, and the time by which the attempt has come; the pause without the header is
    // 5 s.
    let cases = [
        ("60".to_owned(), 58, 67),
        ("3600".to_owned(), 3_590, 3_961),
        (" 60 ".to_owned(), 58, 67),
        ("1".to_owned(), 3, 6),
        ("0".to_owned(), 3, 6),
        ("-7".to_owned(), 3, 6),
        ("soon".to_owned(), 3, 6),
        (String::new(), 3, 6),
        ("1e9".to_owned(), 3, 6),
        ("99999999999999999999999".to_owned(), 3, 31_682),
        // A date counts from the time at which the run reads it: now.
        (http_date(120), 110, 134),
        (http_date(0), 3, 6),
    ];
    let began = system.app.clock.now();
    let mut conversations = Vec::new();
    for (number, (says, _, _)) in (0..).zip(&cases) {
        let conversation = created(&system, number).await;
        let (says, status) = (says.clone(), [503, 429][number as usize % 2]);
        receiver.answer(move |_| Reply::new(status, "").with("Retry-After", says.clone()));
        system.run(&conversation).await;
        conversations.push(conversation);
    }
    receiver.answer(|_| Reply::new(200, ""));
    // On a busy machine the first attempt fails long before the last.
    let ended = system.app.clock.now();
    let early = |seconds: &u64| began + Duration::from_secs(*seconds);
    let late = |seconds: &u64| ended + Duration::from_secs(*seconds);
    let mut instants: Vec<_> = cases
        .iter()
        .flat_map(|(_, first, last)| [early(first), late(last)])
        .collect();
    instants.sort_unstable();
    for instant in instants {
        let left = instant.duration_since(system.app.clock.now());
        system
            .advance_and_tick(left.try_into().unwrap_or_default())
            .await;
        let received = receiver.received();
        let now = system.app.clock.now();
        for ((says, first, last), conversation) in cases.iter().zip(&conversations) {
            let received = of_conversation(&received, conversation).len();
            // No attempt comes within two further seconds; the look itself takes time.
            if now <= early(first) + Duration::from_secs(1) {
                assert_eq!(received, 1, "{says:?} at {now}, since {began}");
            }
            if instant >= late(last) {
                assert_eq!(received, 4, "{says:?} at {now}, since {ended}");
            }
        }
    }
}

/// The time of an endpoint that answers just before an attempt times out.
const SLOW: Duration = Duration::from_secs(14);

async fn a_conversation_that_fails_holds_up_no_other(system: TestSystem) {
    system.autocreation(OURS).await;
    let failing = created(&system, 0).await;
    let fails = failing.clone();
    let receiver = Receiver::start(move |received| {
        match received.parameter("ConversationSid") == Some(&fails) {
            // If each of the other eight waited for it, there would be eight attempts.
            true => Reply::new(500, "").after(SLOW),
            false => Reply::new(200, ""),
        }
    })
    .await;
    system.set_post_webhook(&receiver.url(), &[]).await;
    let system = system.start_dispatcher().await;
    system
        .message(&sid(50), "+15551000000", OURS, "fails")
        .await;
    receiver.wait_for(1).await;
    let mut others = Vec::new();
    for number in 1..=8 {
        others.push(created(&system, number).await);
        system
            .message(&sid(50 + number), "+15551000000", OURS, "fails")
            .await;
    }
    // On a slow machine, the failing conversation may have further attempts meanwhile.
    let mut attempts = 1;
    let received = loop {
        let received = receiver.wait_for(attempts + 8 * 3).await;
        let counted = of_conversation(&received, &failing).len();
        if counted == attempts {
            break received;
        }
        attempts = counted;
        assert!(attempts < others.len(), "each waits for an attempt");
    };
    for other in &others {
        assert_delivered_in_order(&received, other, 3);
    }
    let own = of_conversation(&received, &failing);
    let tried = parameters(&own, "Sequence");
    assert!(
        tried.iter().all(|sequence| *sequence == tried[0]),
        "{tried:?}"
    );
}

async fn a_delivery_without_a_success_is_repeated_and_no_redirect_is_followed(system: TestSystem) {
    let elsewhere = Receiver::start(|_| Reply::new(200, "")).await;
    let receiver = Receiver::start(|_| Reply::new(200, "")).await;
    system.set_post_webhook(&receiver.url(), &[]).await;
    system.autocreation(OURS).await;
    let mut conversations = Vec::new();
    for (number, status) in (0..).zip([
        300, 301, 302, 303, 304, 307, 308, 400, 401, 403, 404, 408, 410, 422, 429, 500, 502, 503,
        504,
    ]) {
        let conversation = created(&system, number).await;
        let url = elsewhere.url();
        receiver.answer(move |_| Reply::new(status, "").with("Location", url.clone()));
        system.run(&conversation).await;
        let received = of_conversation(&receiver.received(), &conversation).len();
        assert_eq!(received, 1, "{status} delays the later events");
        conversations.push(conversation);
    }
    receiver.answer(|_| Reply::new(200, ""));
    system.advance_and_tick(Duration::from_secs(6)).await;
    for conversation in &conversations {
        assert_delivered_in_order(&receiver.received(), conversation, 3);
        let own = of_conversation(&receiver.received(), conversation);
        assert_eq!(parameters(&own, "RetryCount"), ["0", "1", "0", "0"]);
    }
    assert_eq!(elsewhere.received().len(), 0);
}

async fn every_2xx_status_with_any_body_is_a_success(system: TestSystem) {
    let receiver = Receiver::start(|_| Reply::new(200, "")).await;
    system.set_post_webhook(&receiver.url(), &[]).await;
    system.autocreation(OURS).await;
    let huge = "x".repeat(50 * 1024 * 1024);
    for (number, reply) in (0..).zip([
        Reply::new(200, "<Response/>"),
        Reply::new(201, "not <xml"),
        Reply::new(202, ""),
        Reply::new(204, ""),
        Reply::json("{\"body\":"),
        // A success causes no further attempt.
        Reply::new(200, "").with("Retry-After", "60"),
        Reply::new(200, huge),
    ]) {
        let conversation = created(&system, number).await;
        let body = reply.body.len();
        receiver.answer(move |_| reply.clone());
        system.run(&conversation).await;
        let own = of_conversation(&receiver.received(), &conversation);
        assert_eq!(
            parameters(&own, "Sequence"),
            ["0", "1", "2"],
            "{body} bytes"
        );
    }
}

/// A server that misbehaves on the first request for a friendly name as that name says, and answers the later ones. It
/// notes each request and its time.
struct Rogue {
    url: String,
    came: Arc<std::sync::Mutex<Vec<(String, Instant)>>>,
}

impl Rogue {
    async fn start() -> Rogue {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let came: Arc<std::sync::Mutex<Vec<(String, Instant)>>> = Arc::default();
        let log = came.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let log = log.clone();
                tokio::spawn(async move {
                    let _ = Rogue::serve(stream, &log).await;
                });
            }
        });
        Rogue { url, came }
    }

    async fn serve(
        mut stream: TcpStream,
        log: &std::sync::Mutex<Vec<(String, Instant)>>,
    ) -> std::io::Result<()> {
        let mut request = Vec::new();
        let wanted = loop {
            let mut part = [0; 4_096];
            let count = stream.read(&mut part).await?;
            if count == 0 {
                return Ok(());
            }
            request.extend_from_slice(&part[..count]);
            let text = String::from_utf8_lossy(&request).into_owned();
            let length = text
                .lines()
                .find_map(|line| {
                    line.to_lowercase()
                        .strip_prefix("content-length: ")?
                        .parse()
                        .ok()
                })
                .unwrap_or(0_usize);
            if let Some((_, body)) = text.split_once("\r\n\r\n")
                && body.len() >= length
            {
                let name = body
                    .split('&')
                    .find_map(|field| field.strip_prefix("FriendlyName="));
                break name.unwrap_or_default().to_owned();
            }
        };
        let again = {
            let mut log = log.lock().expect("no holder panics");
            let again = log.iter().any(|(who, _)| *who == wanted);
            log.push((wanted.clone(), Instant::now()));
            again
        };
        let headers = "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n";
        let forever = Duration::from_secs(3_600);
        match wanted.as_str() {
            // The status and the headers alone are a success, the first time too.
            "drip" | "hang_in_body" => {
                stream.write_all(headers.as_bytes()).await?;
                for _ in 0..600 {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    if wanted == "drip" {
                        stream.write_all(b"x").await?;
                        stream.flush().await?;
                    }
                }
            }
            "cut" => stream.write_all(headers.as_bytes()).await?,
            _ if again => {
                let answer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
                stream.write_all(answer.as_bytes()).await?;
            }
            "hang" => tokio::time::sleep(forever).await,
            "hang_in_headers" => {
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-").await?;
                tokio::time::sleep(forever).await;
            }
            "drip_headers" => {
                stream.write_all(b"HTTP/1.1 200 OK\r\n").await?;
                for number in 0..1_000 {
                    let line = format!("X-{number}: x\r\n");
                    stream.write_all(line.as_bytes()).await?;
                    tokio::time::sleep(Duration::from_millis(500)).await;
                }
            }
            // Closing sends a reset.
            "reset" => stream.set_zero_linger()?,
            "garbage" => stream.write_all(b"220 ready\r\n\r\n").await?,
            _ => {}
        }
        Ok(())
    }

    fn came(&self, who: &str) -> Vec<Instant> {
        let came = self.came.lock().expect("no holder panics");
        came.iter()
            .filter(|(name, _)| name == who)
            .map(|(_, at)| *at)
            .collect()
    }
}

async fn a_misbehaving_server_gets_its_event_in_the_end(system: TestSystem) {
    let rogue = Rogue::start().await;
    system.set_post_webhook(&rogue.url, &[]).await;
    let fine = ["drip", "hang_in_body", "cut"];
    let failing = [
        "close",
        "reset",
        "garbage",
        "hang",
        "hang_in_headers",
        "drip_headers",
    ];
    let mut conversations = Vec::new();
    for kind in fine.into_iter().chain(failing) {
        let form = [("FriendlyName", kind)];
        let created = system.post_with_webhooks("/v1/Conversations", &form).await;
        conversations.push((kind, text(&created.expect(201)["sid"])));
    }
    // The time limit ends the runs of these kinds.
    let hang = ["hang", "hang_in_headers", "drip_headers"];
    let run = async |kind: &str, conversation: &str| {
        let began = Instant::now();
        system.run(conversation).await;
        let took = began.elapsed();
        let long = took > Duration::from_secs(13);
        assert_eq!(long, hang.contains(&kind), "{kind}: {took:?}");
    };
    let (hanging, others): (Vec<_>, Vec<_>) = conversations
        .iter()
        .partition(|(kind, _)| hang.contains(kind));
    // One after the other: on a slow machine, runs at once would wait for each other.
    for (kind, conversation) in others {
        run(kind, conversation).await;
    }
    join_all(
        hanging
            .into_iter()
            .map(|(kind, conversation)| run(kind, conversation)),
    )
    .await;
    for kind in fine.into_iter().chain(failing) {
        assert_eq!(rogue.came(kind).len(), 1, "{kind}");
    }
    system.advance_and_tick(Duration::from_secs(6)).await;
    for kind in fine {
        assert_eq!(rogue.came(kind).len(), 1, "{kind} was a success");
    }
    for kind in failing {
        assert_eq!(rogue.came(kind).len(), 2, "{kind} gets the event again");
    }
    system.advance_and_tick(RECOVERY).await;
    for kind in fine.into_iter().chain(failing) {
        assert!(rogue.came(kind).len() <= 2, "{kind} has the event");
    }
}

async fn a_delivery_to_a_url_without_a_server_is_repeated(system: TestSystem) {
    system.autocreation(OURS).await;
    let receiver = Receiver::start(|_| Reply::new(200, "")).await;
    // A port that was free a moment ago.
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let refusing = format!("http://{}", listener.local_addr().expect("an address"));
    drop(listener);
    for (number, url) in (0..).zip([
        "http://does-not-exist.invalid/",
        &refusing,
        // A server that speaks HTTP without TLS.
        &receiver.url().replace("http:", "https:"),
    ]) {
        system.set_post_webhook(url, &[]).await;
        let conversation = created(&system, number).await;
        system.run(&conversation).await;
        system.set_post_webhook(&receiver.url(), &[]).await;
        system.advance_and_tick(Duration::from_secs(6)).await;
        let received = of_conversation(&receiver.received(), &conversation);
        assert_eq!(parameters(&received, "Sequence"), ["0", "1", "2"], "{url}");
        assert_eq!(
            parameters(&received, "RetryCount"),
            ["1", "0", "0"],
            "{url}"
        );
    }
}

/// More calls than a run of three events makes.
const CALLS: u32 = 14;

async fn a_fault_at_any_call_of_a_run_loses_and_doubles_nothing(system: TestSystem) {
    let receiver = Receiver::start(|_| Reply::new(200, "")).await;
    system.set_post_webhook(&receiver.url(), &[]).await;
    system.autocreation(OURS).await;
    let mut number = 0;
    for fault in [
        Fault::RequestLost,
        Fault::AnswerLost,
        Fault::ServerError,
        Fault::Throttled,
        Fault::TransactionConflict,
    ] {
        let mut came_to_it = false;
        for nth in 1..=CALLS {
            let conversation = created(&system, number).await;
            number += 1;
            let calls = AtomicUsize::new(0);
            let met = Arc::new(AtomicUsize::new(0));
            let meets = met.clone();
            system.wire.fail_by(move |operation, _| {
                // A read can't fail by a transaction.
                let read = operation != "UpdateItem" && fault == Fault::TransactionConflict;
                let call = calls.fetch_add(1, Ordering::SeqCst) + 1;
                (call == nth as usize && !read).then(|| {
                    meets.fetch_add(1, Ordering::SeqCst);
                    fault
                })
            });
            system.run(&conversation).await;
            system.wire.heal();
            came_to_it |= met.load(Ordering::SeqCst) > 0;
            let own = of_conversation(&receiver.received(), &conversation);
            let received = parameters(&own, "Sequence");
            assert_eq!(received, ["0", "1", "2"], "{fault:?} at call {nth}");
        }
        assert!(came_to_it, "{fault:?}");
    }
    let count = receiver.received().len();
    system.advance_and_tick(RECOVERY).await;
    assert_eq!(receiver.received().len(), count);
}

async fn a_run_that_is_killed_at_any_call_loses_nothing(system: TestSystem) {
    let receiver = Receiver::start(|_| Reply::new(200, "")).await;
    system.set_post_webhook(&receiver.url(), &[]).await;
    system.autocreation(OURS).await;
    let mut conversations = Vec::new();
    let mut killed = 0;
    for arrives in [false, true] {
        for nth in 1..=CALLS {
            let conversation = created(&system, conversations.len() as u64).await;
            let run = system.run(&conversation);
            killed += u32::from(system.killed_at(nth, arrives, run).await);
            conversations.push(conversation);
        }
    }
    assert!(
        killed >= 12,
        "{killed} of {} were killed",
        conversations.len()
    );
    system.advance_and_tick(RECOVERY).await;
    let received = receiver.received();
    for conversation in &conversations {
        assert_delivered_in_order(&received, conversation, 3);
    }
    // No further event comes, except for new changes.
    system.advance_and_tick(RECOVERY).await;
    assert_eq!(receiver.received().len(), received.len());
    for (number, conversation) in (0..).zip(&conversations) {
        let from = format!("+1555100{number:04}");
        system
            .message(&sid(1_000 + number), &from, OURS, "more")
            .await;
        system.run(conversation).await;
        assert_delivered_in_order(&receiver.received(), conversation, 4);
    }
}

async fn a_run_killed_during_a_delivery_repeats_it_with_the_same_token(system: TestSystem) {
    system.autocreation(OURS).await;
    let slow = Reply::new(200, "").after(Duration::from_secs(600));
    let receiver = Receiver::start(move |received| match received.parameter("Sequence") {
        Some("1") => slow.clone(),
        _ => Reply::new(200, ""),
    })
    .await;
    system.set_post_webhook(&receiver.url(), &[]).await;
    let conversation = created(&system, 0).await;
    let run = tokio::spawn({
        let (system, conversation) = (system.clone(), conversation.clone());
        async move { system.run(&conversation).await }
    });
    receiver.wait_for(2).await;
    run.abort();
    let _ = run.await;
    receiver.answer(|_| Reply::new(200, ""));
    // The next run respects the lease of the dead one.
    system.run(&conversation).await;
    assert_eq!(receiver.received().len(), 2);
    system.advance_and_tick(RECOVERY).await;
    let received = receiver.received();
    assert_eq!(parameters(&received, "Sequence"), ["0", "1", "1", "2"]);
    assert_delivered_in_order(&received, &conversation, 3);
}

/// Sweep, wake, hand-off and run: a process that dies leaves its work to the next one. It dies at any call about the
/// conversation whose ring was lost, or about the mark of the sweep.
async fn a_clock_that_is_killed_at_any_call_loses_nothing(system: TestSystem) {
    let receiver = Receiver::start(|_| Reply::new(200, "")).await;
    system.set_post_webhook(&receiver.url(), &[]).await;
    system.autocreation(OURS).await;
    at_each_call(8..=59, async |nth| {
        let conversation = created(&system, u64::from(nth)).await;
        system.advance(RECOVERY);
        let about = conversation.clone();
        let counts = move |operation: &str, body: &str| {
            let mark = operation == "PutItem" && body.contains("SW#");
            mark || body.contains(&about)
        };
        // The last call arrives, or it does not.
        let (tick, arrives) = (system.tick(), nth % 2 == 0);
        let killed = system.killed_at_call(counts, nth, arrives, tick).await;
        system.advance_and_tick(RECOVERY).await;
        assert_delivered_in_order(&receiver.received(), &conversation, 3);
        killed
    })
    .await;
}

/// The endpoint is owed more events than one read has, since before the time at which the sweep begins.
async fn a_long_backlog_survives_a_run_that_is_killed_on_its_way(system: TestSystem) {
    const BACKLOG: u64 = 70;
    let receiver = Receiver::start(|_| Reply::new(500, "")).await;
    system.set_post_webhook(&receiver.url(), &[]).await;
    system.autocreation(OURS).await;
    // The run dies at the call after so many moves of the cursor.
    let kills = [20, 51, 52, 53, 54];
    let mut conversations = Vec::new();
    for (place, _) in (0..).zip(kills) {
        let conversation = created(&system, place).await;
        system.run(&conversation).await;
        let from = format!("+1555100{place:04}");
        for number in 0..BACKLOG {
            let sid = sid(1_000 * (place + 1) + number);
            system.message(&sid, &from, OURS, "hello").await;
        }
        conversations.push(conversation);
    }
    for pause in [6, 40, 140, 700, 2_000] {
        system.advance_and_tick(Duration::from_secs(pause)).await;
    }
    receiver.answer(|_| Reply::new(200, ""));
    system.advance(Duration::from_secs(4_000));
    for (conversation, kill) in conversations.iter().zip(kills) {
        let moves = AtomicUsize::new(0);
        let (killed, mut kill_now) = tokio::sync::watch::channel(false);
        system.wire.fail_by(move |operation, _| {
            if moves.load(Ordering::SeqCst) >= kill {
                let _ = killed.send(true);
                return Some(Fault::Late(Duration::from_secs(3_600)));
            }
            if operation == "UpdateItem" {
                moves.fetch_add(1, Ordering::SeqCst);
            }
            None
        });
        tokio::select! {
            _ = kill_now.wait_for(|killed| *killed) => {}
            () = system.run(conversation) => panic!("a run of {BACKLOG} events makes {kill} moves"),
        }
        system.wire.heal();
    }
    // No ring comes; only time passes.
    for _ in 0..3 {
        system.advance_and_tick(RECOVERY).await;
    }
    let received = receiver.received();
    for (conversation, kill) in conversations.iter().zip(kills) {
        let own = of_conversation(&received, conversation);
        let last = own
            .last()
            .and_then(|received| received.parameter("Sequence"));
        let all = (BACKLOG + 2).to_string();
        assert_eq!(last, Some(all.as_str()), "killed after {kill} moves");
        assert_delivered_in_order(&received, conversation, BACKLOG as usize + 3);
    }
}
