//! Whatever a server, or something in between, answers with: what reads as a problem is written and read as the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use protocol::problem::ProblemDocument;

fuzz_target!(|body: &[u8]| {
    if let Ok(problem) = serde_json::from_slice::<ProblemDocument>(body) {
        let written = serde_json::to_vec(&problem).expect("a problem is JSON");
        assert_eq!(serde_json::from_slice::<ProblemDocument>(&written).expect("ours"), problem);
        let _ = problem.known_code();
    }
});
