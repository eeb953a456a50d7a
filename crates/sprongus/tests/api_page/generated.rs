//! Clients that public generators make of the document. Each is built with the strictest settings of its language, enqueues by a key,
//! is answered the same run again, lists by two states, and is refused with a problem that it can read.

use std::path::Path;
use std::process::Command;

use crate::scene::{Scene, printed, tool, tools};

#[test]
fn a_generated_client_enqueues_a_run() {
    let scene = Scene::new();
    let mut generate = scene.command(tool("openapi-python-client"));
    generate.args(["generate", "--url", &format!("{}/openapi.json", scene.url), "--meta", "none"]);
    std::fs::write(scene.folder.path().join("generator.yaml"), "post_hooks: []\n").expect("a file");
    generate.args(["--output-path", "generated", "--config", "generator.yaml", "--fail-on-warning"]);
    printed(generate.output().expect("a generator"));
    let program = "
import os
from generated import AuthenticatedClient
from generated.api.runs import enqueue_run, get_run
from generated.models import RunRequest, Run
client = AuthenticatedClient(base_url=os.environ['SPRONGUS_API_URL'], token=os.environ['SPRONGUS_TOKEN'])
run = enqueue_run.sync(client=client, body=RunRequest(kind='from.a.generated.client', priority=5))
assert isinstance(run, Run), run
again = get_run.sync(run.id, client=client)
assert again.priority == 5 and again.state == 'queued', again
print(again.id)
";
    let id = printed(scene.command(tool("python")).args(["-c", program]).output().expect("Python"));
    assert!(scene.sprongus(&format!("runs status {}", id.trim())).contains("from.a.generated.client"));
}

/// A TypeScript client: generated, checked with `--strict`, compiled and run.
fn typescript(scene: &Scene, generate: &mut Command, client: &str, program: &str) {
    printed(generate.output().expect("a generator"));
    let folder = scene.folder.path();
    std::fs::write(folder.join("package.json"), "{}").expect("a file");
    std::fs::write(folder.join("main.ts"), program).expect("a file");
    let mut check = npm(scene, "tsc");
    check.args([
        "--strict",
        "--target",
        "es2022",
        "--module",
        "commonjs",
        "--moduleResolution",
        "node10",
        "--ignoreDeprecations",
        "5.0",
    ]);
    check.args(["--lib", "es2022,dom,dom.iterable", "--outDir", "compiled", "main.ts", client]);
    printed(check.output().expect("tsc"));
    let out = printed(scene.command(tool("node")).arg("compiled/main.js").output().expect("node"));
    is_enqueued_by(scene, &out);
}

/// What each program prints: the id of the run that it enqueued and canceled.
#[track_caller]
fn is_enqueued_by(scene: &Scene, out: &str) {
    let status = scene.sprongus(&format!("--json runs status {}", out.trim()));
    let run: serde_json::Value = serde_json::from_str(&status).expect("JSON");
    assert_eq!((&run["kind"], &run["state"]), (&"from.a.client".into(), &"canceled".into()), "{out}");
    assert_eq!(
        scene.sprongus("-q runs list --kind from.a.client").lines().count(),
        1,
        "the key made one run"
    );
}

pub fn npm(scene: &Scene, program: &str) -> Command {
    let path = tools().join("npm/node_modules/.bin").join(program);
    assert!(path.exists(), "{} is missing: ./test installs it", path.display());
    let mut command = scene.command(path);
    let node = tool("node");
    let node = node.parent().unwrap_or_else(|| Path::new("/")).display().to_string();
    command.env("PATH", format!("{node}:/usr/bin:/bin"));
    command
}

/// The document, in a file: not all generators read from a server.
pub fn document(scene: &Scene) {
    let url = format!("{}/openapi.json", scene.url);
    printed(scene.command("curl").args(["-sSf", "-o", "openapi.json", &url]).output().expect("curl"));
}

#[test]
fn a_client_by_hey_api_works() {
    let scene = Scene::new();
    document(&scene);
    let mut generate = npm(&scene, "openapi-ts");
    generate.args(["-i", "openapi.json", "-o", "client"]);
    typescript(
        &scene,
        &mut generate,
        "client/index.ts",
        r#"
import { cancelRun, enqueueRun, getRun, listRuns } from "./client";
import { client } from "./client/client.gen";

declare const process: { env: Record<string, string>; exit(code: number): never };
client.setConfig({ baseUrl: process.env.SPRONGUS_API_URL, auth: () => process.env.SPRONGUS_TOKEN });

function must(holds: boolean, what: unknown): asserts holds {
  if (!holds) { console.error(what); process.exit(1); }
}

async function main() {
  const request = { body: { kind: "from.a.client", priority: 5 }, headers: { "Idempotency-Key": "one" } };
  const { data: run } = await enqueueRun(request);
  const { data: again } = await enqueueRun(request);
  must(!!run && run.id === again?.id, again);
  const { data: found } = await getRun({ path: { id: run.id } });
  must(found?.priority === 5 && found.state === "queued", found);
  const { data: page } = await listRuns({ query: { state: ["queued", "canceled"], kind: ["from.a.client"] } });
  must(page?.data.length === 1 && page.nextCursor === null, page);
  const { error } = await enqueueRun({ body: { kind: "not a kind" } });
  must(error?.code === "validation" && (error.errors?.length ?? 0) === 1, error);
  const { data: canceled } = await cancelRun({ path: { id: run.id } });
  must(canceled?.state === "canceled", canceled);
  console.log(run.id);
}
main();
"#,
    );
}

#[test]
fn a_client_by_orval_works() {
    let scene = Scene::new();
    document(&scene);
    let config = format!(
        "module.exports = {{ sprongus: {{ input: './openapi.json', output: {{ target: './client.ts', client: 'fetch', baseUrl: '{}' }} }} }};",
        scene.url
    );
    std::fs::write(scene.folder.path().join("orval.config.cjs"), config).expect("a file");
    let mut generate = npm(&scene, "orval");
    generate.args(["--config", "orval.config.cjs"]);
    typescript(
        &scene,
        &mut generate,
        "client.ts",
        r#"
import { cancelRun, enqueueRun, getRun, listRuns } from "./client";

declare const process: { env: Record<string, string>; exit(code: number): never };
const bearer = { Authorization: `Bearer ${process.env.SPRONGUS_TOKEN}` };

function must(holds: boolean, what: unknown): asserts holds {
  if (!holds) { console.error(what); process.exit(1); }
}

async function main() {
  const keyed = { headers: { ...bearer, "Idempotency-Key": "one" } };
  const made = await enqueueRun({ kind: "from.a.client", priority: 5 }, keyed);
  const again = await enqueueRun({ kind: "from.a.client", priority: 5 }, keyed);
  must(made.status === 201 && again.status === 200 && made.data.id === again.data.id, again);
  const id = made.data.id;
  const found = await getRun(id, { headers: bearer });
  must(found.status === 200 && found.data.priority === 5, found);
  const page = await listRuns({ state: ["queued", "canceled"], kind: ["from.a.client"] }, { headers: bearer });
  must(page.status === 200 && page.data.data.length === 1, page);
  const refused = await enqueueRun({ kind: "not a kind" }, { headers: bearer });
  must(refused.status === 422 && refused.data.code === "validation", refused);
  const canceled = await cancelRun(id, { headers: bearer });
  must(canceled.status === 200 && canceled.data.state === "canceled", canceled);
  console.log(id);
}
main();
"#,
    );
}

#[test]
fn a_client_in_go_works() {
    let scene = Scene::new();
    document(&scene);
    let mut generate = scene.command(tool("openapi-generator-cli"));
    generate.args(["generate", "-g", "go", "-i", "openapi.json", "-o", "client"]);
    generate.args(["--git-host", "example.com", "--git-user-id", "x", "--git-repo-id", "client"]);
    generate.args(["--additional-properties", "withGoMod=false"]);
    printed(generate.output().expect("a generator"));
    let folder = scene.folder.path();
    std::fs::write(folder.join("go.mod"), "module example.com/x\n\ngo 1.23\n").expect("a file");
    std::fs::create_dir(folder.join("cmd")).expect("a folder");
    let program = r#"package main

import (
	"context"
	"fmt"
	"os"

	sp "example.com/x/client"
)

func must(holds bool, what any) {
	if !holds {
		fmt.Fprintln(os.Stderr, what)
		os.Exit(1)
	}
}

func main() {
	config := sp.NewConfiguration()
	config.Servers = sp.ServerConfigurations{{URL: os.Getenv("SPRONGUS_API_URL")}}
	config.AddDefaultHeader("Authorization", "Bearer "+os.Getenv("SPRONGUS_TOKEN"))
	client, ctx := sp.NewAPIClient(config), context.Background()
	request := sp.NewRunRequest("from.a.client")
	request.SetPriority(5)
	run, _, err := client.RunsAPI.EnqueueRun(ctx).IdempotencyKey("one").RunRequest(*request).Execute()
	must(err == nil, err)
	again, reply, err := client.RunsAPI.EnqueueRun(ctx).IdempotencyKey("one").RunRequest(*request).Execute()
	must(err == nil && again.Id == run.Id && reply.StatusCode == 200, err)
	found, _, err := client.RunsAPI.GetRun(ctx, run.Id).Execute()
	must(err == nil && found.Priority == 5 && found.State == sp.StateQueued, err)
	states := []sp.StateName{sp.StateQueued, sp.StateCanceled}
	page, _, err := client.RunsAPI.ListRuns(ctx).State(states).Kind([]string{"from.a.client"}).Execute()
	must(err == nil && len(page.Data) == 1, err)
	_, _, err = client.RunsAPI.EnqueueRun(ctx).RunRequest(*sp.NewRunRequest("not a kind")).Execute()
	refused, ok := err.(*sp.GenericOpenAPIError)
	must(ok, err)
	problem, ok := refused.Model().(sp.Problem)
	must(ok && problem.Code == sp.CodeValidation, refused)
	canceled, _, err := client.RunsAPI.CancelRun(ctx, run.Id).Execute()
	must(err == nil && canceled.State == sp.StateCanceled, err)
	fmt.Println(run.Id)
}
"#;
    std::fs::write(folder.join("cmd/main.go"), program).expect("a file");
    let mut go = scene.command(tool("go"));
    go.args(["run", "./cmd"]).env("GOFLAGS", "-mod=mod").env("GOPROXY", "off").env("GOTOOLCHAIN", "local");
    go.env("GOCACHE", tools().join("go-cache"));
    let out = printed(go.output().expect("go"));
    is_enqueued_by(&scene, &out);
}
