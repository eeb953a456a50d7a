//! Runs one command to its end: no shell, its own process group, its output in bounded memory.
//!
//! The promise is that nothing is left behind. Cancel and timeout send TERM to the whole group and KILL after
//! the grace; a lost lease sends KILL at once; members that outlive the leader are ended too; and a future
//! that is dropped kills the group. [`Ending::gone_at`] says when the group was really gone.

mod budget;
mod children;
mod ending;
mod environment;
mod feed;
mod group;
mod head;
mod lines;
mod pump;
mod spec;
mod start;
mod supervise;

pub use budget::{OUTPUT_LIMIT, OutputBudget, UsedOutput};
pub(crate) use children::adopted;
pub use ending::{Ending, StartFault, Status, StepOutput};
pub use environment::child_environment;
pub(crate) use head::Head;
pub(crate) use lines::LineCutter;
pub use lines::{LONGEST_LINE, OutputLine, Stream};
pub use spec::{CommandSpec, GRACE, StopReason};

use tokio::sync::{mpsc, oneshot, watch};

use crate::orphans::OrphanRecord;
use group::Group;
use pump::{Ended, Pump};

/// Runs a command until its process group is gone.
///
/// Lines go to `lines` as they arrive, in bounded memory: while the receiver is slow the command waits at its
/// pipe. A receiver that is dropped means that nobody wants them. The receiver must go on taking lines until
/// the future is done, or drop.
///
/// `stop` ends the command early; its sender may be dropped, which stops nothing.
pub async fn run(
    spec: CommandSpec,
    lines: mpsc::Sender<OutputLine>,
    mut stop: watch::Receiver<Option<StopReason>>,
) -> Ending {
    if let Some(reason) = *stop.borrow_and_update() {
        return Ending::without_process(Status::Stopped(reason));
    }
    // The note lasts until the child was waited for.
    let (mut child, _own) = match start::start(&spec) {
        Ok(child) => child,
        Err(fault) => return Ending::without_process(Status::CouldNotStart(fault)),
    };
    // The group's guard comes before the first await, so that no cancellation can slip in between.
    let Some(mut group) = Group::of(&child) else {
        return Ending::without_process(Status::CouldNotStart(StartFault::vanished(&spec)));
    };
    if let Some(orphan) = &spec.orphan {
        group.keep_record(OrphanRecord::write(orphan, group.id()));
    }
    let pump = Pump::new(child.stdout.take(), child.stderr.take(), lines);
    let stdin = child.stdin.take();
    let (tell_pump, pump_until) = oneshot::channel();
    let (tell_feed, feed_until) = oneshot::channel();
    let supervise = async {
        let verdict = supervise::supervise(&mut child, &mut group, &spec, &mut stop).await;
        // Both end on their own when the pipes close; a process that left the group may hold them open.
        let _ = (tell_pump.send(()), tell_feed.send(()));
        verdict
    };
    let pump = pump.run(Ended::new(pump_until));
    let (verdict, printed, ()) = tokio::join!(
        supervise,
        pump,
        feed::feed(stdin, spec.stdin.as_deref().unwrap_or_default(), feed_until)
    );
    Ending {
        status: verdict.status,
        gone_at: verdict.gone_at,
        output: printed.output,
        lines: printed.lines,
        bytes: printed.bytes,
    }
}

#[cfg(test)]
mod tests;
