CREATE SEQUENCE "public"."delivery_claims" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1;--> statement-breakpoint
CREATE TABLE "put_backs" (
	"id" text PRIMARY KEY NOT NULL,
	"noticed_at" timestamp (3) with time zone NOT NULL,
	"found_at" timestamp (3) with time zone DEFAULT clock_timestamp() NOT NULL,
	"known_until" timestamp (3) with time zone,
	"shown_by" text NOT NULL,
	"is_settled" boolean DEFAULT false NOT NULL
);
--> statement-breakpoint
ALTER TABLE "deliveries" ADD COLUMN "asked_at" timestamp (3) with time zone;--> statement-breakpoint
-- From here on its last value is the number of claims.
SELECT nextval('public.delivery_claims');
