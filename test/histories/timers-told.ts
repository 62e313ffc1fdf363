/** An interceptor in the replayed bundle: it tells how long each timer is, which Temporal itself doesn't compare. */
import { proxySinks, type Sinks, workflowInfo, type WorkflowInterceptors } from "@temporalio/workflow";

export interface TimersTold extends Sinks {
  timers: { started(workflowId: string, ms: number): void };
}

const { timers } = proxySinks<TimersTold>();

export const interceptors = (): WorkflowInterceptors => ({
  outbound: [
    {
      startTimer(input, next) {
        timers.started(workflowInfo().workflowId, input.durationMs);
        return next(input);
      },
    },
  ],
});
