/**
 * Who the customers of the example portfolio are, and what happens to them in its year. Days are counted from its first
 * Monday (5 January 2026); a day may have a fraction. `make.ts` turns this into exports.
 */

export interface PersonStory {
  readonly name: string;
  readonly role?: "champion" | "economic_buyer" | "admin" | "end_user" | "executive_sponsor";
  /** null: the CRM has none. Absent: made of the name. */
  readonly email?: null;
  /** null: the CRM has none. Absent: the account's. */
  readonly locale?: string | null;
  readonly zone?: string;
  readonly title?: string;
  /** Weeks in which the product sees them; null: never. Absent: always. */
  readonly uses?: { readonly from?: number; readonly until?: number } | null;
  /** Day of `contact.added`. */
  readonly joins?: number;
  /** Day on which the CRM's row arrives, where it isn't in the first export. */
  readonly arrives?: number;
  /** How they behave towards mails: see people.yaml. */
  readonly persona?: string;
  /** What the product sees, in hours after they joined. */
  readonly does?: readonly (readonly [hours: number, event: string, payload: Readonly<Record<string, string>>])[];
}

export interface AccountStory {
  readonly id: string;
  readonly name: string;
  readonly tier: "enterprise" | "growth" | "starter";
  readonly touch: "high" | "low" | "pooled";
  readonly stage?: "onboarding" | "adoption" | "retention" | "renewal";
  readonly country: string;
  readonly zone: string;
  readonly locale: string;
  readonly currency: string;
  readonly industry: string;
  readonly seats: number;
  readonly arr: number;
  readonly csm: string;
  /** How its people behave: see people.yaml. */
  readonly persona: string;
  /** Key actions in a normal week, all people together. */
  readonly weekly: number;
  readonly people: readonly PersonStory[];
  readonly contract: {
    readonly starts: number;
    readonly ends: number;
    readonly notice: number;
    readonly renewsItself?: boolean;
  };
  readonly isTest?: boolean;
  /** Day of the signature in the year. */
  readonly signed?: number;
  readonly paysFirst?: boolean;
  readonly goals?: readonly string[];
  readonly nps?: number;
  /** Nobody answers surveys. */
  readonly isQuiet?: boolean;
  readonly dips?: readonly { readonly from: number; readonly to: number; readonly factor: number }[];
  /** First review, and how it and those every 91 days after it go. */
  readonly qbr?: { readonly day: number; readonly meetings: readonly ("held" | "no_show" | "declined" | "unsaid")[] };
  readonly renewal?: { readonly day: number; readonly how: "won" | "expanded" | "downsell" | "lost" };
  /** `by`: number of the person, from 1. */
  readonly events?: readonly {
    readonly day: number;
    readonly name: string;
    readonly by?: number;
    readonly payload: Readonly<Record<string, string | number | boolean>>;
  }[];
  readonly updates?: readonly ({
    readonly day: number;
    readonly kind: "accounts" | "contacts" | "contracts";
    readonly person?: number;
  } & Readonly<Record<string, unknown>>)[];
}

/** Our own side. Two managers, six CSMs, of whom two work for the pool. */
export const COMPANY_PEOPLE = {
  users: [
    user("vp-helena", "Helena Brandt", "VP Customer Success", "Europe/Berlin", "de", undefined),
    user("mgr-tomasz", "Tomasz Zieliński", "Manager Customer Success EMEA", "Europe/Warsaw", "pl", "vp-helena"),
    user(
      "mgr-grace",
      "Grace Okafor",
      "Manager Customer Success Americas & APAC",
      "America/New_York",
      "us",
      "vp-helena",
    ),
    user("csm-ania", "Ania Kowalczyk", "Customer Success Manager", "Europe/Warsaw", "pl", "mgr-tomasz"),
    user("csm-bea", "Bea Whitfield", "Customer Success Manager", "Europe/London", "gb", "mgr-tomasz"),
    user("csm-igor", "Igor Sokolov", "Customer Success Manager", "Asia/Almaty", "kz", "mgr-tomasz"),
    user("csm-luis", "Luis Herrera", "Customer Success Manager", "America/New_York", "us", "mgr-grace"),
    user(
      "csm-mei",
      "Mei Tan",
      "Scaled Success Manager",
      "Asia/Singapore",
      "sg",
      "mgr-grace",
      "scaled_success|onboarding_desk",
    ),
    user("csm-paul", "Paul Adeyemi", "Scaled Success Manager", "Europe/London", "gb", "mgr-tomasz", "scaled_success"),
    user("ae-rowan", "Rowan Blake", "Account Executive", "Europe/London", "gb", undefined),
    user("ae-dina", "Dina Farouk", "Account Executive", "Europe/Berlin", "de", undefined),
    user("se-mateo", "Mateo Ruiz", "Solution Engineer", "Europe/Berlin", "de", undefined),
    user("sl-ngozi", "Ngozi Eze", "Support Lead", "Europe/London", "gb", undefined),
  ],
  absences: [
    {
      id: "abs-1",
      user: "csm-ania",
      from: "2026-07-06T00:00:00+02:00",
      to: "2026-07-27T00:00:00+02:00",
      cover: "csm-bea",
    },
  ],
} as const;

function user(
  id: string,
  name: string,
  title: string,
  timezone: string,
  calendar: string,
  manager?: string,
  pools?: string,
) {
  const mailbox = id.slice(id.indexOf("-") + 1);
  return {
    id,
    name,
    email: `${mailbox}@waypost.example`,
    title,
    timezone,
    locale: calendar === "pl" ? "pl" : "en",
    calendar,
    manager,
    booking_url: `https://meet.waypost.example/${mailbox}`,
    pools,
  };
}

interface Place {
  readonly country: string;
  readonly zone: string;
  readonly locale: string;
  readonly currency: string;
  readonly csm: string;
}

const GB: Place = { country: "GB", zone: "Europe/London", locale: "en", currency: "GBP", csm: "csm-bea" };
const PL: Place = { country: "PL", zone: "Europe/Warsaw", locale: "pl", currency: "PLN", csm: "csm-ania" };
const DE: Place = { country: "DE", zone: "Europe/Berlin", locale: "en", currency: "EUR", csm: "csm-bea" };
const RU: Place = { country: "RU", zone: "Europe/Moscow", locale: "ru", currency: "RUB", csm: "csm-igor" };
const KZ: Place = { country: "KZ", zone: "Asia/Almaty", locale: "ru", currency: "KZT", csm: "csm-igor" };
const NY: Place = { country: "US", zone: "America/New_York", locale: "en", currency: "USD", csm: "csm-luis" };
const LA: Place = { country: "US", zone: "America/Los_Angeles", locale: "en", currency: "USD", csm: "csm-luis" };
const JP: Place = { country: "JP", zone: "Asia/Tokyo", locale: "en", currency: "JPY", csm: "csm-mei" };
const SG: Place = { country: "SG", zone: "Asia/Singapore", locale: "en", currency: "SGD", csm: "csm-mei" };
const AU: Place = { country: "AU", zone: "Australia/Sydney", locale: "en", currency: "AUD", csm: "csm-mei" };

const NAMES: Readonly<Record<string, readonly string[]>> = {
  GB: [
    "Oliver Marsh",
    "Amelia Thornton",
    "Harriet Boyd",
    "Callum Price",
    "Priya Raman",
    "Edith Lowe",
    "Simon Frost",
    "Nadia Hussain",
  ],
  PL: [
    "Katarzyna Wójcik",
    "Piotr Lewandowski",
    "Magdalena Kamińska",
    "Jakub Mazur",
    "Zofia Krawczyk",
    "Marek Dudek",
    "Ewa Pawlak",
  ],
  DE: ["Lena Hoffmann", "Jonas Keller", "Katrin Vogel", "Stefan Brandl", "Mira Aydin", "Felix Sommer"],
  RU: ["Ольга Смирнова", "Дмитрий Волков", "Елена Кузнецова", "Андрей Морозов", "Мария Лебедева"],
  KZ: ["Айгерим Нурланова", "Тимур Ахметов", "Динара Сеитова", "Ержан Касымов", "Алия Омарова"],
  US: [
    "Emily Carter",
    "Marcus Reed",
    "Sofia Alvarez",
    "Jason Miller",
    "Dana Whitaker",
    "Tyler Brooks",
    "Renee Coleman",
    "Victor Huang",
  ],
  JP: ["Haruka Sato", "Kenji Nakamura", "Yui Tanaka", "Ren Fujita"],
  SG: ["Wei Ling Goh", "Arjun Nair", "Siti Rahman", "Daniel Lim"],
  AU: ["Charlotte Nguyen", "Liam Douglas", "Ruby Hart", "Noah Fraser"],
};
const ROLES = ["champion", "economic_buyer", "admin", "end_user", "executive_sponsor"] as const;
const TITLES = [
  "Head of Operations",
  "Finance Director",
  "Systems Administrator",
  "Planner",
  "Chief Operating Officer",
];

/** Latin letters for addresses, as mail systems of the time want them. */
let nextName: Record<string, number> = {};

/** Five people with one role each; `change` alters them by number, from 1. */
function team(country: string, change: Readonly<Record<number, Partial<PersonStory>>> = {}, count = 5): PersonStory[] {
  const names = NAMES[country] ?? [];
  return Array.from({ length: count }, (_, index) => {
    const turn = (nextName[country] = (nextName[country] ?? -1) + 1);
    const role = ROLES[index] as (typeof ROLES)[number];
    return {
      name: names[turn % names.length] as string,
      role,
      title: TITLES[index] as string,
      // Who signs and who sponsors doesn't work with the product.
      ...(role === "economic_buyer" || role === "executive_sponsor" ? { uses: null } : {}),
      ...change[index + 1],
    };
  });
}

type HighTouch = Pick<AccountStory, "id" | "name" | "persona"> &
  Partial<Omit<AccountStory, "people">> & { readonly people?: Readonly<Record<number, Partial<PersonStory>>> };

/** A customer who signs in the year and is onboarded by hand. */
function newcomer(place: Place, story: HighTouch & { readonly signed: number }): AccountStory {
  const { signed } = story;
  const activates = story.persona === "slow" ? 44 : 21;
  const uses = { from: signed + 1 };
  const events =
    story.persona === "silent" || story.persona === "voided"
      ? []
      : [{ day: signed + activates + 0.4, name: "user.activated", by: 4, payload: { action: "first_report" } }];
  return {
    ...place,
    tier: "growth",
    touch: "high",
    industry: "logistics",
    seats: 40,
    arr: 48_000,
    weekly: 60,
    contract: { starts: signed, ends: signed + 730, notice: 60 },
    ...story,
    people: team(place.country, {
      ...story.people,
      1: { uses, ...story.people?.[1] },
      3: { uses, ...story.people?.[3] },
      4: { uses: { from: signed + activates }, ...story.people?.[4] },
    }),
    events: [...events, ...(story.events ?? [])],
  };
}

/** A customer who has been with us for a while: reviews, a renewal. `notice`: the day R of the year. */
function established(place: Place, story: HighTouch & { readonly notice: number }): AccountStory {
  const { notice, ...rest } = story;
  return {
    ...place,
    tier: "enterprise",
    touch: "high",
    stage: "retention",
    industry: "manufacturing",
    seats: 30,
    arr: 120_000,
    weekly: 120,
    contract: { starts: notice + 60 - 730, ends: notice + 60, notice: 60 },
    ...rest,
    people: team(place.country, story.people),
  };
}

/** The product sees them log in, fill in the profile, connect data and do the first key action, so many hours after joining. */
const QUICK: PersonStory["does"] = [
  [3, "user.logged_in", { device: "web" }],
  [5, "user.step_completed", { step: "profile" }],
  [27, "user.step_completed", { step: "connect_data" }],
  [51, "user.activated", { action: "first_report" }],
];
const HELPED: PersonStory["does"] = [
  [8, "user.logged_in", { device: "web" }],
  [170, "user.step_completed", { step: "profile" }],
  [190, "user.step_completed", { step: "connect_data" }],
  [340, "user.activated", { action: "first_report" }],
];
const PARTIAL: PersonStory["does"] = [
  [20, "user.logged_in", { device: "mobile" }],
  [26, "user.step_completed", { step: "profile" }],
];
const LATE: PersonStory["does"] = [
  [210, "user.logged_in", { device: "web" }],
  [214, "user.step_completed", { step: "profile" }],
  [260, "user.step_completed", { step: "connect_data" }],
  [300, "user.activated", { action: "first_report" }],
];

type Way =
  | "quick"
  | "helped"
  | "partial"
  | "silent"
  | "late"
  | "replies"
  | "books"
  | "unsubscribes"
  | "bounces"
  | "leaves";

const WAYS: Readonly<
  Record<Way, { readonly persona: string; readonly does: PersonStory["does"]; readonly usesAfter?: number }>
> = {
  quick: { persona: "active", does: QUICK, usesAfter: 2 },
  helped: { persona: "active", does: HELPED, usesAfter: 14 },
  late: { persona: "active", does: LATE, usesAfter: 12 },
  partial: { persona: "quiet", does: PARTIAL },
  silent: { persona: "quiet", does: [] },
  replies: { persona: "replies", does: PARTIAL },
  books: { persona: "books", does: [] },
  unsubscribes: { persona: "unsubscribes", does: [] },
  bounces: { persona: "bounces", does: [] },
  leaves: { persona: "quiet", does: [] },
};

/** A small customer: people join and find their way alone; `people`: who joins on which day, and how it goes. */
function small(
  place: Place,
  story: Pick<AccountStory, "id" | "name"> &
    Partial<Omit<AccountStory, "people">> & {
      readonly notice: number;
      readonly joins?: readonly (readonly [day: number, way: Way, change?: Partial<PersonStory>])[];
    },
): AccountStory {
  const { notice, joins = [], ...rest } = story;
  const owner: PersonStory = {
    ...(team(place.country, {}, 1)[0] as PersonStory),
    role: "economic_buyer",
    title: "Owner",
  };
  const joiners = joins.map(([day, way, change]): PersonStory => {
    const { persona, does, usesAfter } = WAYS[way];
    const [person] = team(place.country, {}, 1) as [PersonStory];
    return {
      ...person,
      role: "end_user",
      title: "Planner",
      joins: day,
      persona,
      does: does ?? [],
      uses: usesAfter === undefined ? null : { from: day + usesAfter },
      ...change,
    };
  });
  const leavers = joins.flatMap(([day, way], index) =>
    way === "leaves" ? [{ day: day + 9.5, name: "contact.left", by: index + 2, payload: {} }] : [],
  );
  return {
    ...place,
    tier: "starter",
    touch: "low",
    stage: "adoption",
    industry: "retail",
    seats: 5,
    arr: 6_000,
    weekly: 20,
    persona: "small",
    contract: { starts: notice + 30 - 365, ends: notice + 30, notice: 30 },
    ...rest,
    people: [owner, ...joiners],
    events: [...leavers, ...(story.events ?? [])],
  };
}

export const ACCOUNT_STORIES: readonly AccountStory[] = makeStories();

function makeStories(): AccountStory[] {
  nextName = {};
  return [
    // ── signed in the year ───────────────────────────────────────────────────────────────────────────────────────────
    newcomer(GB, {
      id: "a-101",
      name: "Brightwell Logistics",
      tier: "enterprise",
      arr: 140_000,
      persona: "smooth",
      signed: 3.4,
      updates: [
        { day: 36, kind: "accounts", qbr_date: 74 },
        { day: 80, kind: "accounts", next_qbr_date: 165 },
      ],
    }),
    newcomer(PL, {
      id: "a-102",
      name: "Nowak Meble",
      persona: "smooth",
      signed: 10.4,
      updates: [{ day: 44, kind: "accounts", qbr_date: 91 }],
    }),
    newcomer(KZ, { id: "a-103", name: "Kaspian Retail", persona: "smooth", signed: 24.3 }),
    newcomer(LA, { id: "a-104", name: "Sierra Outdoor", persona: "smooth", signed: 38.7, paysFirst: true }),
    newcomer(DE, {
      id: "a-105",
      name: "Rheinwerk Pumpen",
      tier: "enterprise",
      arr: 160_000,
      persona: "slow",
      signed: 17.4,
    }),
    newcomer(JP, { id: "a-106", name: "Hanami Foods", persona: "slow", signed: 52.2 }),
    newcomer(NY, {
      id: "a-107",
      name: "Silverline Clinics",
      tier: "enterprise",
      arr: 95_000,
      industry: "health",
      persona: "silent",
      signed: 31.6,
      isQuiet: true,
    }),
    newcomer(RU, {
      id: "a-108",
      name: "Volga Print",
      persona: "voided",
      signed: 45.4,
      events: [{ day: 57.5, name: "contract.voided", payload: { reason: "budget withdrawn" } }],
      updates: [
        { day: 57.7, kind: "contracts", status: "void" },
        { day: 57.7, kind: "accounts", stage: "churned" },
      ],
    }),
    newcomer(GB, {
      id: "a-109",
      name: "Lumen Analytics",
      persona: "slow",
      signed: 60.5,
      updates: [
        { day: 95.4, kind: "accounts", stage: "churned" },
        { day: 95.4, kind: "contracts", status: "lost" },
      ],
    }),
    newcomer(AU, {
      id: "a-110",
      name: "Harbour Hotels",
      tier: "enterprise",
      arr: 88_000,
      industry: "hospitality",
      persona: "smooth",
      signed: 95.2,
    }),
    newcomer(PL, {
      id: "a-111",
      name: "Tatry Software",
      persona: "smooth",
      signed: 130.4,
      people: { 1: { locale: null } },
    }),
    newcomer(SG, { id: "a-112", name: "Merlion Freight", persona: "slow", signed: 160.2 }),
    newcomer(PL, {
      id: "a-113",
      name: "Baltic Pharma",
      tier: "enterprise",
      arr: 210_000,
      industry: "health",
      persona: "smooth",
      signed: 171.4,
      people: { 1: { locale: null } },
    }),
    newcomer(GB, {
      id: "a-114",
      name: "Northgate Schools",
      industry: "education",
      persona: "smooth",
      signed: 200.4,
      people: { 1: { uses: { from: 201, until: 220 } }, 4: { locale: null } },
      events: [{ day: 219.5, name: "contact.left", by: 1, payload: {} }],
      updates: [{ day: 224.5, kind: "contacts", person: 3, role: "champion" }],
    }),
    newcomer(DE, { id: "a-115", name: "Alpenblick Reisen", industry: "travel", persona: "smooth", signed: 346.4 }),

    // ── with us for longer ───────────────────────────────────────────────────────────────────────────────────────────
    established(GB, {
      id: "a-201",
      name: "Albion Insurance",
      persona: "loyal",
      notice: 230,
      qbr: { day: 50, meetings: ["held", "held", "held", "held"] },
      renewal: { day: 214.5, how: "won" },
    }),
    established(PL, {
      id: "a-202",
      name: "Mazowia Energia",
      persona: "loyal",
      arr: 240_000,
      notice: 190,
      qbr: { day: 64, meetings: ["held", "held", "held"] },
      renewal: { day: 176.5, how: "expanded" },
      dips: [{ from: 180, to: 400, factor: 1.3 }],
    }),
    established(DE, {
      id: "a-203",
      name: "Quantum Robotics",
      persona: "loyal",
      notice: 210,
      qbr: { day: 120, meetings: ["held", "held"] },
      // Procurement moves the end of the contract twice.
      updates: [
        { day: 118.4, kind: "contracts", end_date: 210 + 60 + 30 },
        { day: 168.4, kind: "contracts", end_date: 210 + 60 + 12 },
      ],
      renewal: { day: 216.5, how: "won" },
    }),
    established(LA, {
      id: "a-204",
      name: "Pacific Grid",
      persona: "recovers",
      notice: 420,
      dips: [{ from: 100, to: 122, factor: 0.4 }],
      qbr: { day: 80, meetings: ["held", "held", "unsaid"] },
    }),
    established(NY, {
      id: "a-205",
      name: "Orion Textiles",
      tier: "growth",
      arr: 54_000,
      persona: "leaves",
      notice: 212,
      dips: [{ from: 136, to: 400, factor: 0.08 }],
      renewal: { day: 201.5, how: "lost" },
      goals: ["at_risk", "at_risk"],
      isQuiet: true,
    }),
    established(RU, {
      id: "a-206",
      name: "Ural Steelworks",
      persona: "recovers",
      notice: 400,
      people: { 1: { uses: { until: 80 } } },
      events: [{ day: 80.4, name: "contact.left", by: 1, payload: {} }],
      updates: [{ day: 88.4, kind: "contacts", person: 4, role: "champion" }],
      qbr: { day: 150, meetings: ["held", "held"] },
    }),
    established(JP, {
      id: "a-207",
      name: "Sakura Media",
      tier: "growth",
      arr: 62_000,
      industry: "media",
      persona: "unhappy",
      notice: 330,
      nps: 7,
      // Two signals of one customer: they join in one rescue.
      dips: [{ from: 122, to: 260, factor: 0.4 }],
      events: [
        {
          day: 120.2,
          name: "survey.answered",
          by: 1,
          payload: { kind: "nps", score: 2, comment: "Exports break every Monday." },
        },
      ],
      isQuiet: true,
    }),
    established(KZ, {
      id: "a-208",
      name: "Caspian Air",
      persona: "recovers",
      notice: 380,
      industry: "travel",
      events: [0, 0.1, 0.2, 0.4, 0.9, 1.1, 1.2, 1.4]
        .map((offset, index) => ({
          day: 70.2 + offset,
          name: "ticket.opened",
          payload: { ticket_id: `t-208-x${index}`, priority: "high", topic: "sync" },
        }))
        .concat(
          [0, 1, 2, 3, 4, 5, 6, 7].map(
            (index) =>
              ({
                day: 75.3 + index / 10,
                name: "ticket.closed",
                payload: { ticket_id: `t-208-x${index}`, priority: "high" },
              }) as never,
          ),
        ),
      qbr: { day: 109, meetings: ["no_show", "held", "held"] },
    }),
    established(DE, {
      id: "a-209",
      name: "Fjordline Bikes",
      tier: "growth",
      arr: 52_000,
      persona: "loyal",
      notice: 260,
      events: [
        {
          day: 88.4,
          name: "payment.failed",
          payload: {
            invoice_id: "i-209-7",
            amount: 13_000,
            currency: "EUR",
            attempt: 1,
            pay_url: "https://pay.waypost.example/i-209-7",
          },
        },
        { day: 92.6, name: "payment.paid", payload: { invoice_id: "i-209-7", amount: 13_000, currency: "EUR" } },
      ],
      renewal: { day: 244.5, how: "won" },
      qbr: { day: 100, meetings: ["held", "unsaid"] },
    }),
    established(LA, {
      id: "a-210",
      name: "Redwood Labs",
      tier: "growth",
      arr: 66_000,
      persona: "recovers",
      notice: 410,
      events: [
        {
          day: 140.4,
          name: "payment.failed",
          payload: {
            invoice_id: "i-210-3",
            amount: 16_500,
            currency: "USD",
            attempt: 1,
            pay_url: "https://pay.waypost.example/i-210-3",
          },
        },
        { day: 168.5, name: "payment.paid", payload: { invoice_id: "i-210-3", amount: 16_500, currency: "USD" } },
      ],
      qbr: { day: 200, meetings: ["held", "held"] },
    }),
    established(SG, {
      id: "a-211",
      name: "Straits Marine",
      tier: "growth",
      arr: 45_000,
      persona: "false_alarm",
      notice: 440,
      events: [
        {
          day: 60.2,
          name: "signal.raised",
          payload: { reason: "usage", severity: "medium", detail: "No activity since Friday." },
        },
      ],
      updates: [
        { day: 60.6, kind: "accounts", maintenance: true },
        { day: 70.2, kind: "accounts", maintenance: false },
      ],
      qbr: { day: 170, meetings: ["held", "held"] },
    }),
    established(AU, {
      id: "a-212",
      name: "Koala Learning",
      tier: "growth",
      arr: 58_000,
      industry: "education",
      persona: "declines",
      notice: 250,
      qbr: { day: 60, meetings: ["declined"] },
      renewal: { day: 246.5, how: "downsell" },
      goals: ["at_risk", "on_track"],
    }),
    established(PL, {
      id: "a-213",
      name: "Wisła Trans",
      tier: "growth",
      arr: 49_000,
      industry: "logistics",
      persona: "undecided",
      notice: 300,
      qbr: { day: 95, meetings: ["no_show", "held"] },
    }),
    established(GB, {
      id: "a-214",
      name: "Thames Water Tech",
      tier: "growth",
      arr: 72_000,
      persona: "at_risk",
      notice: 240,
      qbr: { day: 45, meetings: ["held", "held", "held"] },
      renewal: { day: 231.5, how: "won" },
    }),
    established(NY, {
      id: "a-215",
      name: "Keystone Foods",
      arr: 130_000,
      persona: "loyal",
      notice: 285,
      qbr: { day: 130, meetings: ["held", "held"] },
      updates: [{ day: 150.4, kind: "accounts", csm: "csm-bea" }],
      renewal: { day: 268.5, how: "won" },
    }),
    established(SG, {
      id: "a-216",
      name: "Lotus Hospitality",
      tier: "growth",
      arr: 51_000,
      industry: "hospitality",
      persona: "loyal",
      notice: 350,
      qbr: { day: 140, meetings: ["held", "held"] },
    }),
    established(RU, {
      id: "a-217",
      name: "Северный Порт",
      persona: "loyal",
      arr: 99_000,
      notice: 270,
      people: { 2: { email: null }, 5: { locale: null } },
      qbr: { day: 179, meetings: ["held", "held"] },
      renewal: { day: 262.5, how: "won" },
    }),

    // ── small ones, low touch and pooled ─────────────────────────────────────────────────────────────────────────────
    small(GB, {
      id: "a-301",
      name: "Corner Bakery Group",
      notice: 90,
      joins: [
        [8.4, "quick"],
        [20.4, "silent"],
      ],
      renewal: { day: 84.5, how: "won" },
    }),
    small(PL, {
      id: "a-302",
      name: "Pracownia Rower",
      notice: 120,
      joins: [
        [9.4, "helped"],
        [40.4, "partial"],
      ],
      renewal: { day: 112.5, how: "won" },
    }),
    small(DE, { id: "a-303", name: "Holzspielzeug Baum", notice: 150, joins: [[12.4, "replies"]] }),
    small(RU, {
      id: "a-304",
      name: "Чайный Дом",
      notice: 100,
      joins: [
        [15.4, "quick", { locale: null }],
        [60.4, "quick"],
      ],
      renewal: { day: 97.5, how: "lost" },
    }),
    small(KZ, { id: "a-305", name: "Steppe Coffee", notice: 300, joins: [[16.3, "books"]] }),
    small(NY, {
      id: "a-306",
      name: "Hudson Dental",
      notice: 200,
      joins: [
        [18.6, "unsubscribes"],
        [33.6, "quick"],
      ],
      renewal: { day: 188.5, how: "won" },
    }),
    small(LA, { id: "a-307", name: "Venice Surf School", notice: 330, joins: [[22.7, "bounces"]] }),
    small(JP, {
      id: "a-308",
      name: "Kyoto Paper",
      notice: 140,
      joins: [
        [25.2, "quick"],
        [88.2, "late"],
      ],
    }),
    small(SG, {
      id: "a-309",
      name: "Hawker Hub",
      notice: 180,
      joins: [[28.2, "partial"]],
      renewal: { day: 171.5, how: "downsell" },
    }),
    small(AU, {
      id: "a-310",
      name: "Bondi Yoga",
      notice: 210,
      joins: [
        [30.2, "silent"],
        [44.2, "quick"],
      ],
    }),
    small(GB, {
      id: "a-311",
      name: "Fenland Florists",
      notice: 240,
      joins: [[36.4, "quick"]],
      renewal: { day: 231.5, how: "won" },
    }),
    small(PL, {
      id: "a-312",
      name: "Browar Górski",
      notice: 260,
      arr: 14_000,
      joins: [
        [41.4, "partial"],
        [47.4, "silent"],
      ],
    }),
    small(GB, {
      id: "a-313",
      name: "Pennine Guides",
      notice: 280,
      arr: 12_000,
      joins: [
        [50.4, "silent"],
        [70.4, "quick"],
      ],
    }),
    small(DE, {
      id: "a-314",
      name: "Kiez Kino",
      notice: 310,
      joins: [
        [55.4, "leaves"],
        [58.4, "helped"],
      ],
    }),
    small(NY, {
      id: "a-315",
      name: "Brooklyn Frames",
      notice: 340,
      joins: [
        [62.6, "quick"],
        [63.6, "replies"],
      ],
    }),
    small(LA, { id: "a-316", name: "Mission Tacos", notice: 320, joins: [[66.7, "late"]] }),
    small(RU, {
      id: "a-317",
      name: "Мастерская Света",
      notice: 290,
      joins: [
        [72.4, "partial"],
        [110.4, "quick"],
      ],
    }),
    small(KZ, {
      id: "a-318",
      name: "Almaty Outdoor",
      notice: 270,
      joins: [[77.3, "quick"]],
      renewal: { day: 259.5, how: "won" },
    }),
    small(PL, {
      id: "a-319",
      name: "Apteka Zdrowie",
      notice: 160,
      joins: [[82.4, "silent"]],
      renewal: { day: 158.5, how: "lost" },
    }),
    small(GB, {
      id: "a-320",
      name: "Tidewater Charters",
      notice: 350,
      joins: [
        [90.4, "unsubscribes"],
        [91.4, "helped"],
      ],
    }),
    small(JP, {
      id: "a-321",
      name: "Osaka Ceramics",
      notice: 170,
      joins: [[97.2, "quick", { zone: "America/Los_Angeles" }]],
      renewal: { day: 160.5, how: "won" },
    }),
    small(SG, {
      id: "a-322",
      name: "Orchid Tutors",
      notice: 220,
      joins: [
        [104.2, "books"],
        [150.2, "quick", { arrives: 151.2 }],
      ],
    }),
    small(AU, {
      id: "a-323",
      name: "Outback Solar",
      touch: "pooled",
      arr: 18_000,
      notice: 230,
      joins: [
        [112.2, "partial"],
        [118.2, "silent"],
      ],
    }),
    small(GB, {
      id: "a-324",
      name: "Mill Lane Nursery",
      touch: "pooled",
      arr: 16_000,
      notice: 250,
      joins: [
        [120.4, "quick"],
        [122.4, "silent"],
      ],
      renewal: { day: 240.5, how: "expanded" },
    }),
    small(DE, {
      id: "a-325",
      name: "Nordlicht Optik",
      touch: "pooled",
      arr: 21_000,
      notice: 265,
      joins: [[140.4, "helped"]],
    }),
    small(PL, {
      id: "a-326",
      name: "Studio Kadr",
      touch: "pooled",
      arr: 11_000,
      notice: 295,
      joins: [
        [155.4, "quick"],
        [165.4, "partial"],
      ],
    }),
    small(NY, {
      id: "a-327",
      name: "Catskill Cider",
      touch: "pooled",
      arr: 13_000,
      notice: 315,
      joins: [
        [172.6, "bounces"],
        [180.6, "quick"],
      ],
    }),
    small(LA, {
      id: "a-328",
      name: "Canyon Climbing",
      touch: "pooled",
      arr: 15_000,
      notice: 335,
      joins: [[190.7, "late"]],
    }),
    small(RU, {
      id: "a-329",
      name: "Невский Книжник",
      touch: "pooled",
      arr: 10_500,
      notice: 345,
      joins: [
        [205.4, "silent"],
        [215.4, "quick"],
      ],
    }),
    small(KZ, {
      id: "a-330",
      name: "Turan Travel",
      touch: "pooled",
      arr: 12_500,
      notice: 355,
      joins: [
        [228.3, "replies"],
        [236.3, "partial"],
      ],
    }),
    small(SG, {
      id: "a-331",
      name: "Lion City Pets",
      touch: "pooled",
      arr: 19_000,
      notice: 360,
      joins: [
        [244.2, "quick"],
        [330.2, "silent"],
      ],
      events: [
        {
          day: 262.2,
          name: "payment.failed",
          payload: {
            invoice_id: "i-331-2",
            amount: 1_583,
            currency: "SGD",
            attempt: 1,
            pay_url: "https://pay.waypost.example/i-331-2",
          },
        },
        { day: 271.2, name: "payment.paid", payload: { invoice_id: "i-331-2", amount: 1_583, currency: "SGD" } },
      ],
    }),
    small(GB, {
      id: "a-332",
      name: "Saltmarsh Studio",
      touch: "pooled",
      arr: 10_200,
      notice: 305,
      joins: [
        [258.4, "helped"],
        [350.4, "quick"],
      ],
    }),
    // Our own playground: nothing of it may count, and nobody may be written to.
    {
      ...small(GB, { id: "a-999", name: "Waypost Sandbox", notice: 100, joins: [[6.4, "quick"]] }),
      touch: "high",
      isTest: true,
      signed: 6.5,
      persona: "small",
    },
  ];
}
