#!/bin/sh
# shellcheck disable=SC2016,SC2154 # the shell of a step expands; lib.sh gives
# Three services that find each other, by compose.
# shellcheck source=tests/clients/record.sh
. "$clients/record.sh"
# shellcheck source=tests/clients/daemon.sh
. "$clients/daemon.sh"
export COMPOSE_PROJECT_NAME=three COMPOSE_ANSI=never COMPOSE_HTTP_TIMEOUT=20
mkdir -p context
cat >context/Dockerfile <<END
FROM busybox
RUN mkdir /www && echo from the web >/www/page
CMD httpd -f -h /www
END
cat >docker-compose.yml <<'END'
version: "2.4"
services:
  web:
    build: context
    mem_limit: 32m
    healthcheck: {test: "wget -qO- http://localhost/page", interval: 200ms, retries: 20}
  api:
    image: busybox
    command: sh -c 'while :; do wget -qO- http://web/page | nc -l -p 90; done'
    depends_on: {web: {condition: service_healthy}}
    init: true
  client:
    image: busybox
    command: sh -c 'for i in $$(seq 50); do said=$$(nc api 90 </dev/null); [ -z "$$said" ] || break; sleep 0.2; done; echo "$$said"; exit 5'
    depends_on: [api]
    read_only: true
END
step 0 'docker load -q -i "$ARCHIVE"'
step 0 'docker-compose build -q 2>&1 | grep -v "^WARNING"; docker images --format "{{.Repository}}" | sort -u'
step 0 'docker-compose up -d 2>&1 | sed "s/ .*//" | sort -u'
step 0 'docker wait three_client_1; docker-compose logs --no-color client'
step 0 'docker-compose exec -T web sh -c "hostname | wc -c; cat /sys/fs/cgroup/memory/memory.limit_in_bytes; ping -c1 -W2 api >/dev/null && echo reached"'
step 0 'docker-compose ps --services --filter status=running; docker-compose top api | grep -c nc'
step 0 'docker-compose pause api; docker inspect -f "{{.State.Status}}" three_api_1; docker-compose unpause api'
step 0 'docker-compose up -d --scale api=2 --no-recreate 2>/dev/null; docker ps -a --format "{{.Names}}" | sort'
step 0 'docker-compose restart -t 0 api 2>/dev/null; docker-compose run --rm --no-deps client echo once 2>/dev/null'
step 0 'docker-compose down -t 0 2>/dev/null; docker ps -aq; docker network ls --format "{{.Name}}" | sort'
end_docker
