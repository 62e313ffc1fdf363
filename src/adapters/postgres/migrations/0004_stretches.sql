CREATE TABLE "stretches" (
	"run_id" text NOT NULL,
	"turn" integer NOT NULL,
	"answer" jsonb NOT NULL,
	CONSTRAINT "stretches_run_id_turn_pk" PRIMARY KEY("run_id","turn")
);
--> statement-breakpoint
ALTER TABLE "runs" ADD COLUMN "turns" integer DEFAULT 0 NOT NULL;