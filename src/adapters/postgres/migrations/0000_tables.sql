CREATE TABLE "absences" (
	"id" text PRIMARY KEY NOT NULL,
	"user_id" text NOT NULL,
	"from_at" timestamp (3) with time zone NOT NULL,
	"to_at" timestamp (3) with time zone NOT NULL,
	"cover_id" text
);
--> statement-breakpoint
CREATE TABLE "accounts" (
	"id" text PRIMARY KEY NOT NULL,
	"name" text NOT NULL,
	"csm_id" text,
	"roles" jsonb DEFAULT '{}'::jsonb NOT NULL,
	"timezone" text DEFAULT 'UTC' NOT NULL,
	"locale" text DEFAULT 'en' NOT NULL,
	"calendar" text DEFAULT 'standard' NOT NULL,
	"is_test" boolean DEFAULT false NOT NULL,
	"fields" jsonb DEFAULT '{}'::jsonb NOT NULL,
	"created_at" timestamp (3) with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "audit" (
	"seq" bigserial PRIMARY KEY NOT NULL,
	"at" timestamp (3) with time zone NOT NULL,
	"actor" text NOT NULL,
	"action" text NOT NULL,
	"subject" text NOT NULL,
	"detail" jsonb
);
--> statement-breakpoint
CREATE TABLE "configurations" (
	"kind" text PRIMARY KEY NOT NULL,
	"hash" text NOT NULL,
	"content" jsonb NOT NULL,
	"published_at" timestamp (3) with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "contacts" (
	"id" text PRIMARY KEY NOT NULL,
	"account_id" text NOT NULL,
	"email" text,
	"name" text NOT NULL,
	"first_name" text,
	"role" text,
	"locale" text,
	"timezone" text,
	"is_primary" boolean DEFAULT false NOT NULL,
	"is_active" boolean DEFAULT true NOT NULL,
	"fields" jsonb DEFAULT '{}'::jsonb NOT NULL,
	"created_at" timestamp (3) with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "contracts" (
	"id" text PRIMARY KEY NOT NULL,
	"account_id" text NOT NULL,
	"fields" jsonb DEFAULT '{}'::jsonb NOT NULL,
	"created_at" timestamp (3) with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "deliveries" (
	"key" text PRIMARY KEY NOT NULL,
	"id" text NOT NULL,
	"channel" text NOT NULL,
	"run_id" text,
	"effect_key" text NOT NULL,
	"step" text,
	"account_id" text,
	"contact_id" text,
	"recipient" text,
	"category" text,
	"template" text,
	"template_hash" text,
	"locale" text,
	"message_id" text,
	"priority" integer DEFAULT 50 NOT NULL,
	"status" text DEFAULT 'pending' NOT NULL,
	"token" text,
	"lease_until" timestamp (3) with time zone,
	"wire_until" timestamp (3) with time zone,
	"not_before" timestamp (3) with time zone,
	"attempts" integer DEFAULT 0 NOT NULL,
	"reason" text,
	"raw" text,
	"due_at" timestamp (3) with time zone NOT NULL,
	"deferred_until" timestamp (3) with time zone,
	"stale_at" timestamp (3) with time zone,
	"sent_at" timestamp (3) with time zone,
	"server_message_id" text,
	"slack_channel" text,
	"slack_ts" text,
	"created_at" timestamp (3) with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "due" (
	"id" text PRIMARY KEY NOT NULL,
	"kind" text NOT NULL,
	"at" timestamp (3) with time zone NOT NULL,
	"account_id" text,
	"payload" jsonb DEFAULT '{}'::jsonb NOT NULL,
	"done_at" timestamp (3) with time zone
);
--> statement-breakpoint
CREATE TABLE "events" (
	"seq" bigserial NOT NULL,
	"id" text PRIMARY KEY NOT NULL,
	"name" text NOT NULL,
	"account_id" text,
	"contact_id" text,
	"contract_id" text,
	"run_id" text,
	"at" timestamp (3) with time zone NOT NULL,
	"received_at" timestamp (3) with time zone NOT NULL,
	"payload" jsonb DEFAULT '{}'::jsonb NOT NULL,
	"changed" text[] DEFAULT '{}' NOT NULL,
	"status" text DEFAULT 'pending' NOT NULL,
	"unmatched" jsonb,
	"source" text NOT NULL
);
--> statement-breakpoint
CREATE TABLE "field_changes" (
	"seq" bigserial PRIMARY KEY NOT NULL,
	"entity" text NOT NULL,
	"entity_id" text NOT NULL,
	"account_id" text NOT NULL,
	"field" text NOT NULL,
	"value" jsonb,
	"at" timestamp (3) with time zone NOT NULL,
	"source" text NOT NULL
);
--> statement-breakpoint
CREATE TABLE "goals" (
	"id" text NOT NULL,
	"account_id" text NOT NULL,
	"title" text NOT NULL,
	"status" text NOT NULL,
	"at" timestamp (3) with time zone NOT NULL,
	CONSTRAINT "goals_id_at_pk" PRIMARY KEY("id","at")
);
--> statement-breakpoint
CREATE TABLE "health" (
	"account_id" text PRIMARY KEY NOT NULL,
	"score" double precision,
	"status" text NOT NULL,
	"model_status" text NOT NULL,
	"coverage" double precision NOT NULL,
	"inputs" jsonb NOT NULL,
	"model_hash" text NOT NULL,
	"profile" text NOT NULL,
	"band" text,
	"outside" integer DEFAULT 0 NOT NULL,
	"daily_at" timestamp (3) with time zone,
	"at" timestamp (3) with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "health_history" (
	"account_id" text NOT NULL,
	"at" timestamp (3) with time zone NOT NULL,
	"score" double precision,
	"status" text NOT NULL,
	"cause" text NOT NULL,
	CONSTRAINT "health_history_account_id_at_pk" PRIMARY KEY("account_id","at")
);
--> statement-breakpoint
CREATE TABLE "health_overrides" (
	"account_id" text PRIMARY KEY NOT NULL,
	"status" text NOT NULL,
	"reason" text NOT NULL,
	"author" text NOT NULL,
	"at" timestamp (3) with time zone NOT NULL,
	"until" timestamp (3) with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "holds" (
	"account_id" text NOT NULL,
	"playbook" text NOT NULL,
	"holder_run" text NOT NULL,
	"holder_playbook" text NOT NULL,
	"since" timestamp (3) with time zone NOT NULL,
	CONSTRAINT "holds_account_id_playbook_holder_run_pk" PRIMARY KEY("account_id","playbook","holder_run")
);
--> statement-breakpoint
CREATE TABLE "milestones" (
	"account_id" text NOT NULL,
	"contact_id" text DEFAULT '' NOT NULL,
	"milestone" text NOT NULL,
	"at" timestamp (3) with time zone NOT NULL,
	"run_id" text,
	CONSTRAINT "milestones_account_id_contact_id_milestone_pk" PRIMARY KEY("account_id","contact_id","milestone")
);
--> statement-breakpoint
CREATE TABLE "opportunities" (
	"id" text PRIMARY KEY NOT NULL,
	"account_id" text NOT NULL,
	"run_id" text NOT NULL,
	"opportunity" text NOT NULL,
	"text" text,
	"at" timestamp (3) with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "playbook_versions" (
	"hash" text PRIMARY KEY NOT NULL,
	"playbook" text NOT NULL,
	"number" integer NOT NULL,
	"plan" jsonb NOT NULL,
	"source" text NOT NULL,
	"is_current" boolean NOT NULL,
	"published_at" timestamp (3) with time zone NOT NULL,
	"published_by" text NOT NULL
);
--> statement-breakpoint
CREATE TABLE "risks" (
	"id" text PRIMARY KEY NOT NULL,
	"account_id" text NOT NULL,
	"run_id" text NOT NULL,
	"risk" text NOT NULL,
	"severity" text NOT NULL,
	"text" text,
	"at" timestamp (3) with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "run_events" (
	"run_id" text NOT NULL,
	"event_id" text NOT NULL,
	CONSTRAINT "run_events_run_id_event_id_pk" PRIMARY KEY("run_id","event_id")
);
--> statement-breakpoint
CREATE TABLE "runs" (
	"id" text PRIMARY KEY NOT NULL,
	"playbook" text NOT NULL,
	"hash" text NOT NULL,
	"subject" text NOT NULL,
	"account_id" text NOT NULL,
	"contact_id" text,
	"contract_id" text,
	"key" text NOT NULL,
	"ordinal" integer NOT NULL,
	"inputs" jsonb DEFAULT '{}'::jsonb NOT NULL,
	"status" text NOT NULL,
	"outcome" text,
	"position" text[] DEFAULT '{}' NOT NULL,
	"started_at" timestamp (3) with time zone NOT NULL,
	"ended_at" timestamp (3) with time zone,
	"enrolled_by" text,
	"parent_run" text,
	"parent_key" text,
	"parked" jsonb,
	"priority" integer DEFAULT 50 NOT NULL,
	"released_at" timestamp (3) with time zone
);
--> statement-breakpoint
CREATE TABLE "samples" (
	"source_id" text PRIMARY KEY NOT NULL,
	"account_id" text NOT NULL,
	"contact_id" text,
	"sample" text NOT NULL,
	"at" timestamp (3) with time zone NOT NULL,
	"value" double precision NOT NULL,
	"actor" text
);
--> statement-breakpoint
CREATE TABLE "segment_members" (
	"segment" text NOT NULL,
	"account_id" text NOT NULL,
	"since" timestamp (3) with time zone NOT NULL,
	CONSTRAINT "segment_members_segment_account_id_pk" PRIMARY KEY("segment","account_id")
);
--> statement-breakpoint
CREATE TABLE "slack_requests" (
	"id" text PRIMARY KEY NOT NULL,
	"received_at" timestamp (3) with time zone NOT NULL,
	"kind" text NOT NULL,
	"payload" jsonb,
	"handled_at" timestamp (3) with time zone
);
--> statement-breakpoint
CREATE TABLE "suppressions" (
	"email" text NOT NULL,
	"category" text NOT NULL,
	"reason" text NOT NULL,
	"at" timestamp (3) with time zone NOT NULL,
	"delivery_key" text,
	CONSTRAINT "suppressions_email_category_reason_pk" PRIMARY KEY("email","category","reason")
);
--> statement-breakpoint
CREATE TABLE "survey_answers" (
	"id" text PRIMARY KEY NOT NULL,
	"account_id" text NOT NULL,
	"contact_id" text,
	"survey" text NOT NULL,
	"score" double precision NOT NULL,
	"comment" text,
	"at" timestamp (3) with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "sweeps" (
	"sweep" text PRIMARY KEY NOT NULL,
	"at" timestamp (3) with time zone NOT NULL,
	"after_account" text
);
--> statement-breakpoint
CREATE TABLE "swept_facts" (
	"account_id" text NOT NULL,
	"contact_id" text DEFAULT '' NOT NULL,
	"path" text NOT NULL,
	"value" jsonb,
	CONSTRAINT "swept_facts_account_id_contact_id_path_pk" PRIMARY KEY("account_id","contact_id","path")
);
--> statement-breakpoint
CREATE TABLE "switches" (
	"name" text PRIMARY KEY NOT NULL,
	"by" text NOT NULL,
	"reason" text,
	"at" timestamp (3) with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "tasks" (
	"id" text PRIMARY KEY NOT NULL,
	"effect_key" text NOT NULL,
	"run_id" text NOT NULL,
	"step" text NOT NULL,
	"key" text NOT NULL,
	"account_id" text NOT NULL,
	"title" text NOT NULL,
	"text" text,
	"assignee_id" text,
	"queue" text,
	"covered_for_id" text,
	"for" jsonb NOT NULL,
	"required" boolean NOT NULL,
	"status" text DEFAULT 'open' NOT NULL,
	"opened_at" timestamp (3) with time zone NOT NULL,
	"due_at" timestamp (3) with time zone NOT NULL,
	"snoozed_until" timestamp (3) with time zone,
	"snoozes" integer DEFAULT 0 NOT NULL,
	"snooze_limit" integer NOT NULL,
	"ask" text,
	"outcomes" text[] DEFAULT '{}' NOT NULL,
	"escalate" jsonb DEFAULT '[]'::jsonb NOT NULL,
	"escalated" integer DEFAULT 0 NOT NULL,
	"outcome" text,
	"note" text,
	"closed_by" text,
	"closed_at" timestamp (3) with time zone,
	"revision" integer DEFAULT 1 NOT NULL
);
--> statement-breakpoint
CREATE TABLE "templates" (
	"hash" text PRIMARY KEY NOT NULL,
	"name" text NOT NULL,
	"locale" text NOT NULL,
	"source" text NOT NULL
);
--> statement-breakpoint
CREATE TABLE "tickets" (
	"id" text PRIMARY KEY NOT NULL,
	"account_id" text NOT NULL,
	"opened_at" timestamp (3) with time zone NOT NULL,
	"closed_at" timestamp (3) with time zone,
	"priority" text,
	"satisfaction" double precision
);
--> statement-breakpoint
CREATE TABLE "timeline" (
	"run_id" text NOT NULL,
	"seq" integer NOT NULL,
	"at" timestamp (3) with time zone NOT NULL,
	"kind" text NOT NULL,
	"step" text,
	"key" text,
	"detail" jsonb,
	"facts" jsonb,
	CONSTRAINT "timeline_run_id_seq_pk" PRIMARY KEY("run_id","seq")
);
--> statement-breakpoint
CREATE TABLE "tokens" (
	"hash" text PRIMARY KEY NOT NULL,
	"name" text NOT NULL,
	"scopes" text[] NOT NULL,
	"created_at" timestamp (3) with time zone NOT NULL,
	"expires_at" timestamp (3) with time zone,
	"revoked_at" timestamp (3) with time zone
);
--> statement-breakpoint
CREATE TABLE "unsubscribe_links" (
	"token" text PRIMARY KEY NOT NULL,
	"contact_id" text NOT NULL,
	"category" text NOT NULL,
	"delivery_key" text NOT NULL
);
--> statement-breakpoint
CREATE TABLE "users" (
	"id" text PRIMARY KEY NOT NULL,
	"name" text NOT NULL,
	"email" text NOT NULL,
	"title" text,
	"slack_user_id" text,
	"timezone" text DEFAULT 'UTC' NOT NULL,
	"locale" text DEFAULT 'en' NOT NULL,
	"calendar" text DEFAULT 'standard' NOT NULL,
	"manager_id" text,
	"booking_url" text,
	"pools" text[] DEFAULT '{}' NOT NULL,
	"is_active" boolean DEFAULT true NOT NULL
);
--> statement-breakpoint
CREATE INDEX "contacts_account" ON "contacts" USING btree ("account_id");--> statement-breakpoint
CREATE INDEX "contracts_account" ON "contracts" USING btree ("account_id");--> statement-breakpoint
CREATE INDEX "deliveries_effect" ON "deliveries" USING btree ("run_id","effect_key");--> statement-breakpoint
CREATE INDEX "deliveries_person" ON "deliveries" USING btree ("contact_id","sent_at");--> statement-breakpoint
CREATE INDEX "deliveries_open" ON "deliveries" USING btree ("status") WHERE status in ('pending','claimed','wire','retry','unknown','held');--> statement-breakpoint
CREATE UNIQUE INDEX "deliveries_id" ON "deliveries" USING btree ("id");--> statement-breakpoint
CREATE INDEX "due_open" ON "due" USING btree ("at") WHERE done_at is null;--> statement-breakpoint
CREATE UNIQUE INDEX "events_seq" ON "events" USING btree ("seq");--> statement-breakpoint
CREATE INDEX "events_pending" ON "events" USING btree ("account_id","at") WHERE status = 'pending';--> statement-breakpoint
CREATE INDEX "events_unmatched" ON "events" USING btree ("seq") WHERE status = 'unmatched';--> statement-breakpoint
CREATE INDEX "events_account" ON "events" USING btree ("account_id","at");--> statement-breakpoint
CREATE INDEX "field_changes_read" ON "field_changes" USING btree ("entity","entity_id","field","at","seq");--> statement-breakpoint
CREATE INDEX "field_changes_account" ON "field_changes" USING btree ("account_id");--> statement-breakpoint
CREATE UNIQUE INDEX "playbook_versions_number" ON "playbook_versions" USING btree ("playbook","number");--> statement-breakpoint
CREATE UNIQUE INDEX "playbook_versions_current" ON "playbook_versions" USING btree ("playbook") WHERE is_current;--> statement-breakpoint
CREATE UNIQUE INDEX "runs_live_key" ON "runs" USING btree ("playbook","account_id",coalesce("contact_id", ''),"key") WHERE status <> 'ended';--> statement-breakpoint
CREATE UNIQUE INDEX "runs_ordinal" ON "runs" USING btree ("playbook","account_id",coalesce("contact_id", ''),"key","ordinal");--> statement-breakpoint
CREATE INDEX "runs_list" ON "runs" USING btree ("started_at","id");--> statement-breakpoint
CREATE INDEX "runs_account_live" ON "runs" USING btree ("account_id") WHERE status <> 'ended';--> statement-breakpoint
CREATE INDEX "samples_read" ON "samples" USING btree ("account_id","sample","at");--> statement-breakpoint
CREATE INDEX "survey_answers_account" ON "survey_answers" USING btree ("account_id","survey","at");--> statement-breakpoint
CREATE UNIQUE INDEX "tasks_effect" ON "tasks" USING btree ("effect_key");--> statement-breakpoint
CREATE INDEX "tasks_assignee" ON "tasks" USING btree ("assignee_id") WHERE status = 'open';--> statement-breakpoint
CREATE INDEX "tasks_run" ON "tasks" USING btree ("run_id");--> statement-breakpoint
CREATE INDEX "tickets_account" ON "tickets" USING btree ("account_id","opened_at");