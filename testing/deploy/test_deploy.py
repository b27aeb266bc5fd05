"""scripts/deploy against commands that only write down what they were asked, and fail where they are told to.

Run by `scripts/test deploy`; with CODITECT_UPDATE=1 the snapshot of the dry run is written anew."""

import fcntl
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
SNAPSHOT = HERE / "dry_run.sh"
COMMANDS = {
    "gcloud": f'exec {sys.executable} -SE {HERE}/fake_gcloud.py "$@"',
    # Builds nothing: says what BuildKit would have written.
    "docker": """
echo "docker $*" >>"$FAKE_DIR/commands"
case $* in *"imagetools inspect"*) exit 1 ;; esac
[ -z "$FAKE_FAIL" ] || ! grep -qE "$FAKE_FAIL" <<<"docker $*" || exit 1
cat >/dev/null
while [ $# -gt 0 ]; do
    [ "$1" != --metadata-file ] || echo '{"containerimage.digest": "sha256:5e1f"}' >"$2"
    shift
done""",
    "git": """
case $1 in
status) printf '%s' "${FAKE_DIRTY:-}" ;;
branch) printf '%s' "${FAKE_REMOTE- origin/main}" ;;
rev-parse) echo c0ffee ;;
log) echo 1700000000 ;;
archive) echo files ;;
esac""",
    # Where scripts/image looks for it, in the version it wants.
    "tools/bin/cargo-sbom": """
[ "$1" != --version ] || { echo "cargo-sbom 0.10.0"; exit; }
echo '{"metadata": {}, "components": []}'""",
}


class Deploy(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="coditect-deploy.")
        self.dir = Path(self.folder.name)
        for name, text in COMMANDS.items():
            file = self.dir / "bin" / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(f"#!/usr/bin/env bash\n{text}\n")
            file.chmod(0o755)

    def tearDown(self):
        self.folder.cleanup()

    def environment(self, **settings):
        ours = {
            "PATH": f"{self.dir}/bin:{os.environ['PATH']}",
            "FAKE_DIR": str(self.dir),
            "FAKE_FAIL": "",
            "CARGO_TARGET_DIR": f"{self.dir}/bin",
            "XDG_RUNTIME_DIR": str(self.dir),
            "CODITECT_PROJECT": "example",
            "CODITECT_REGION": "europe-west1",
            "CODITECT_CANARY_SECONDS": "0",
        }
        return {**os.environ, **ours, **settings}

    def deploy(self, *words, status=0, **settings):
        done = subprocess.run([ROOT / "scripts/deploy", "staging", *words], env=self.environment(**settings), capture_output=True, text=True)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return done

    def commands(self):
        file = self.dir / "commands"
        return file.read_text().splitlines() if file.exists() else []

    def traffic(self, function):
        rows = json.loads((self.dir / "services.json").read_text())[function]
        return {row["revisionName"]: row["percent"] for row in rows if row.get("percent")}, {row["tag"]: row["revisionName"] for row in rows if row.get("tag")}

    def assert_nothing_changed(self, *functions):
        for function in functions:
            self.assertEqual(self.traffic(function)[0], {f"{function}-old": 100})
            self.assertNotIn("candidate", self.traffic(function)[1])

    def test_all_goes_well(self):
        self.deploy("heartbeat", "auth")
        for function in ("heartbeat", "auth"):
            self.assertEqual(self.traffic(function), ({f"{function}-new": 100}, {"previous": f"{function}-old"}))
        commands = self.commands()
        order = ["buildx build", "jobs execute migrate", "deploy heartbeat", "jobs execute smoke --args=smoke,heartbeat,https://candidate---heartbeat-new", "update-traffic heartbeat --to-revisions=heartbeat-new=10,heartbeat-old=90", "heartbeat-new=50", "heartbeat-new=100", "update sweep"]
        at = [next(n for n, line in enumerate(commands) if wanted in line) for wanted in order]
        self.assertEqual(at, sorted(at))
        self.assertTrue(any("run deploy heartbeat --image=europe-west1-docker.pkg.dev/example/coditect/heartbeat@sha256:5e1f --no-traffic" in line for line in commands))

    def test_a_step_that_fails_leaves_everything_to_what_served(self):
        for step in ["buildx build", "execute migrate", "execute roles", "deploy auth", "execute smoke", "auth-new=10", "auth-new=50", "auth-new=100", "logging read"]:
            with self.subTest(step):
                (self.dir / "services.json").unlink(missing_ok=True)
                self.deploy("heartbeat", "auth", status=1, FAKE_FAIL=step)
                self.assert_nothing_changed("heartbeat", "auth")

    def test_a_failed_smoke_test_never_gets_a_request(self):
        self.deploy("heartbeat", status=1, FAKE_FAIL="execute smoke")
        self.assertFalse([line for line in self.commands() if "heartbeat-new=" in line])

    def test_nothing_is_migrated_before_all_images_are_there(self):
        self.deploy("heartbeat", "auth", status=1, FAKE_FAIL="FUNCTION=ops")
        self.assertFalse([line for line in self.commands() if "jobs execute" in line])

    def test_a_canary_that_fails_goes_back(self):
        requests = {"heartbeat-new": [100, 5, 0.01], "heartbeat-old": [900, 1, 0.01]}
        done = self.deploy("heartbeat", status=1, FAKE_REQUESTS=json.dumps(requests))
        self.assertIn("5 of 100 requests to heartbeat-new failed", done.stderr)
        self.assert_nothing_changed("heartbeat")
        self.assertFalse([line for line in self.commands() if "heartbeat-new=50" in line])

    def test_a_slow_canary_goes_back(self):
        self.deploy("heartbeat", status=1, FAKE_REQUESTS=json.dumps({"heartbeat-new": [100, 0, 0.9], "heartbeat-old": [900, 0, 0.1]}))
        self.assert_nothing_changed("heartbeat")

    def test_a_dependency_that_fails_for_both_is_not_the_canarys_fault(self):
        self.deploy("heartbeat", FAKE_REQUESTS=json.dumps({"heartbeat-new": [100, 5, 0.9], "heartbeat-old": [900, 50, 0.9]}), CODITECT_CANARY_SECONDS="0")

    def test_what_cannot_be_given_back_is_said(self):
        done = self.deploy("heartbeat", status=2, FAKE_FAIL="smoke,heartbeat|heartbeat-old=100")
        self.assertIn("Run it yourself, now:\ngcloud run services update-traffic heartbeat --to-revisions=heartbeat-old=100", done.stderr)

    def test_whoever_stops_it_gets_back_what_served(self):
        running = subprocess.Popen(
            [ROOT / "scripts/deploy", "staging", "heartbeat"], env=self.environment(CODITECT_CANARY_SECONDS="60"), stderr=subprocess.DEVNULL
        )
        while not any("heartbeat-new=10" in line for line in self.commands()):
            time.sleep(0.05)
        running.send_signal(signal.SIGTERM)
        self.assertEqual(running.wait(20), 1)
        self.assert_nothing_changed("heartbeat")

    def test_one_at_a_time(self):
        with open(self.dir / "coditect-deploy-staging-example.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self.assertIn("at work on this machine", self.deploy("heartbeat", status=1).stderr)
        (self.dir / "services.json").write_text(json.dumps({"heartbeat": [{"revisionName": "heartbeat-old", "percent": 100}, {"revisionName": "x", "tag": "candidate", "url": "u"}]}))
        self.assertIn("between two revisions", self.deploy("heartbeat", status=1).stderr)
        self.assertFalse([line for line in self.commands() if "docker" in line])

    def test_only_what_everybody_can_see(self):
        self.assertIn("aren't committed", self.deploy(status=1, FAKE_DIRTY=" M README.md").stderr)
        self.assertIn("isn't pushed", self.deploy(status=1, FAKE_REMOTE="").stderr)
        self.assertEqual(self.commands(), [])

    def test_back_after_a_deployment_and_in_the_middle_of_one(self):
        self.deploy("heartbeat")
        self.deploy("--rollback", "heartbeat")
        self.assertEqual(self.traffic("heartbeat")[0], {"heartbeat-old": 100})
        broken_off = [{"revisionName": "heartbeat-new", "percent": 10, "tag": "candidate", "url": "u"}, {"revisionName": "heartbeat-old", "percent": 90}]
        (self.dir / "services.json").write_text(json.dumps({"heartbeat": broken_off}))
        self.deploy("--rollback", "heartbeat")
        self.assert_nothing_changed("heartbeat")
        self.assertIn("no revision tagged", self.deploy("--rollback", "auth", status=1).stderr)

    def test_a_dry_run_prints_all_of_it_and_does_none(self):
        printed = self.deploy("heartbeat", "--dry-run", FAKE_DIRTY="x").stdout
        self.assertEqual(self.commands(), [])
        if os.environ.get("CODITECT_UPDATE"):
            SNAPSHOT.write_text(printed)
        self.assertEqual(printed, SNAPSHOT.read_text(), "CODITECT_UPDATE=1 scripts/test deploy writes it anew")

    def test_a_dry_run_is_a_script(self):
        printed = self.deploy("heartbeat", "--dry-run").stdout
        subprocess.run(["bash", "-euo", "pipefail", "-c", printed], cwd=ROOT, env=self.environment(), check=True, stdout=subprocess.DEVNULL)
        self.assertEqual(self.traffic("heartbeat"), ({"heartbeat-new": 100}, {"previous": "heartbeat-old"}))


if __name__ == "__main__":
    unittest.main()
