"""An order replica over HTTP: bad input, health, exports."""

from __future__ import annotations

import json

import pytest
from attrs import evolve
from twisted.internet.task import Clock
from twisted.web.iweb import IResponse

from tests.support.nodes import OrderNode
from tests.support.replica import TOYS, FakeReplica
from toystore.model import BOUND, CatalogRow, Line, PlaceOrder, Position, Request, SetPrice
from toystore.orders.seed import EVERY, Seed
from toystore.web.codec import decode_batch, encode_batch


@pytest.fixture
def node() -> OrderNode:
    return OrderNode()


def buy(request_id: str) -> Request:
    return Request(request_id, PlaceOrder("buy", (Line("Fox", 7),), request_id))


GOOD = json.loads(encode_batch("toys", "front-1", [buy("a")]))


def body(**changes: object) -> bytes:
    return json.dumps(GOOD | changes).encode()


@pytest.mark.fault(5, 10, 12)
@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "not a batch"),
        (b"\x80\x04\x95", "not a batch"),
        (b"[]", "not a batch"),
        (b"{}", "not a batch"),
        (body(version=2), "version 2"),
        (body(cluster="stocks"), "this is cluster 'toys', not 'stocks'"),
        (body(requests={}), "not a batch"),
        (body(requests=[[]]), "not a request"),
        (body(requests=[["a", "explode", {}]]), "unknown command 'explode'"),
        (body(requests=[["", "set_price", {"name": "Fox", "price": 1}]]), "request id"),
        (body(requests=[["a" * 201, "set_price", {"name": "Fox", "price": 1}]]), "request id"),
        (body(requests=[["a", "set_price", {"name": "Fox", "price": 1.5}]]), "price"),
        (body(requests=[["a", "set_price", {"name": "Fox", "price": "1"}]]), "price"),
        (body(requests=[["a", "set_price", {"name": "Fox"}]]), "price"),
        (body(requests=[["a", "set_price", {"name": "\ud800", "price": 1}]]), "not a batch"),
        (body(requests=[["a", "cancel_order", {"number": 0}]] * 1001), "too many"),
        (body(requests=[GOOD["requests"][0], ["b", "place_order", {}]]), "not a request"),
        (b'{"cluster":' + b"[" * 50_000, "not a batch"),
        (b'{"x":' + b"[" * 50_000 + b"]" * 50_000 + b',"cluster":"toys"}', "not a batch"),
    ],
)
def test_a_bad_batch_changes_nothing(node: OrderNode, data: bytes, reason: str) -> None:
    answer = node.ask("POST", "/ledger", data)
    told = json.loads(answer.body)
    assert (answer.status, told["error"]) == (400, "malformed")
    assert reason in told["detail"]
    assert node.replica.submitted == []


def test_a_batch_as_curl_would_send_it(node: OrderNode) -> None:
    lines = '{"side":"buy","lines":[{"name":"Fox","quantity":7}],"key":"k"}'
    text = f'{{"cluster":"toys","version":1,"from":"me","requests":[["r1","place_order",{lines}]]}}'
    answer = node.ask("POST", "/ledger", text.encode())
    told = json.loads(answer.body)
    kind, index, term, (done, fields) = told["results"][0]
    assert (answer.status, told["term"]) == (200, 1)
    assert (kind, index, term, done, fields["order"]["number"]) == ("answer", 2, 1, "done", 0)


def test_a_batch_survives_the_way() -> None:
    requests = (buy("a"), Request("b", SetPrice("Fox", BOUND)))
    batch = decode_batch(encode_batch("toys", "front-1", requests))
    assert (batch.cluster, batch.sender, batch.requests) == ("toys", "front-1", requests)


def test_a_client_that_hangs_up_stops_no_commit(node: OrderNode) -> None:
    node.replica.held = True
    pending = node.service.submit([buy("a")])
    pending.addErrback(lambda failure: None)
    node.agent.flush()
    pending.cancel()
    node.agent.flush()
    node.replica.release()
    assert node.get("/products/Fox")[1]["value"]["quantity"] == 93


@pytest.mark.fault(12)
@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/orders/x", 400),
        ("GET", "/orders/-1", 400),
        ("GET", "/orders/1.0", 400),
        ("GET", "/orders/" + "9" * 5000, 400),
        ("GET", "/orders?limit=0", 400),
        ("GET", "/orders?limit=1001", 400),
        ("GET", "/orders?before=x", 400),
        ("GET", "/orders?limit=1&limit=1", 400),
        ("GET", "/ledger", 404),
        ("POST", "/orders", 405),
        ("DELETE", "/products/Fox", 405),
        ("GET", "/products/a/b", 404),
        ("GET", "/products/%ff", 400),
        ("GET", "/nothing", 404),
        ("GET", "/state-hash", 400),
        ("GET", "/digest?index=x", 400),
        ("GET", "/export/secrets", 400),
        ("GET", "/export/orders?from=x", 400),
        ("GET", "/export/changes?from=1:x", 400),
        ("GET", "/export/log?limit=501", 400),
    ],
)
def test_bad_input_gets_a_clear_error(node: OrderNode, method: str, path: str, status: int) -> None:
    answer = node.ask(method, path)
    told = json.loads(answer.body)
    assert answer.status == status
    assert told["error"]
    assert told["detail"]


def test_health(node: OrderNode) -> None:
    assert node.get("/livez") == (200, {"live": True})
    assert node.get("/readyz/") == (200, {"ready": True, "reasons": []})
    node.replica.age = None
    assert node.get("/readyz") == (503, {"ready": False, "reasons": ["no leader heard of"]})


def test_status(node: OrderNode) -> None:
    _, told = node.get("/status")
    digest = node.get("/digest?index=1")[1]["digest"]
    assert told == {
        "format": 1, "name": "order-1", "role": "order", "cluster": "toys", "election": "raft", "pid": 4711,
        "node": "order-1", "state": "leader", "leader": "order-1", "term": 1, "last_index": 1,
        "commit_index": 1, "applied_index": 1, "digest": digest, "lag": 0, "in_sync": True,
        "generation": 0, "uuid": "a-uuid", "leader_age": 0.0, "reasons": [],
        "put_aside": "", "scrubbed": {"passes": 0, "rows": None, "seconds": None, "ended_at": None},
    }  # fmt: skip


def test_hash_and_digest_at_an_index(node: OrderNode) -> None:
    status, told = node.get("/state-hash?index=1")
    assert (status, told["index"], len(told["state_hash"])) == (200, 1, 64)
    node.replica.commit(buy("a"))
    assert node.get("/state-hash?index=1")[0] == 409
    assert node.get("/state-hash?index=1")[1]["error"] == "index_passed"
    assert node.get("/digest?index=1")[0] == 200
    status, told = node.get("/digest?index=9")
    assert (status, told["error"]) == (404, "not_kept")


def test_a_hash_of_the_future_is_not_awaited_for_ever(node: OrderNode) -> None:
    answers: list[IResponse] = []
    node.agent.request(b"GET", b"http://node/state-hash?index=9").addCallback(answers.append)
    node.agent.flush()
    node.clock.advance(29)
    node.agent.flush()
    assert answers == []
    node.clock.advance(1)
    node.agent.flush()
    assert [answer.code for answer in answers] == [503]


def test_exports_are_json_lines(node: OrderNode) -> None:
    node.replica.generation = 2
    node.replica.commit(buy("a"), buy("b"), buy("c"))

    def lines(path: str) -> list[dict[str, object]]:
        answer = node.ask("GET", f"/export/{path}")
        assert answer.status == 200
        assert answer.headers.getRawHeaders("Toystore-Index") == ["2:4"]
        return [json.loads(line) for line in answer.body.splitlines()]

    assert [row["name"] for row in lines("products")] == ["Tux", "Fox", "Barbie"]
    assert [row["number"] for row in lines("products?from=2&limit=1")] == [2]
    assert [row["number"] for row in lines("orders?from=1")] == [1, 2]
    assert [row["index"] for row in lines("log?from=3")] == [3, 4]
    assert [row["sequence"] for row in lines("changes?from=1:1")] == [1, 2]
    last = lines("log?from=4")[0]
    assert (last["kind"], last["data"][1:3]) == ("command", ["c", "place_order"])  # type: ignore[index]
    assert last["digest"] == node.get("/status")[1]["digest"]


# What the front ends of the older systems ask and announce ---------------------------------------------------


def announce(node: OrderNode, leader_id: object) -> tuple[int, dict[str, str]]:
    text = {"leader": {"host": "10.0.0.3", "port": 12505}, "leader_id": leader_id}
    answer = node.ask("POST", "/notify_leader_info_to_replica/", json.dumps(text).encode())
    return answer.status, json.loads(answer.body)


@pytest.mark.row("E2")
def test_it_is_healthy(node: OrderNode) -> None:
    assert node.get("/health") == (200, {"status": "healthy"})
    assert node.get("/health/") == (200, {"status": "healthy"})


@pytest.mark.row("Q10")
def test_the_home_page(node: OrderNode) -> None:
    answer = node.ask("GET", "/")
    assert (answer.status, answer.headers.getRawHeaders("Content-Type")) == (200, ["text/html; charset=utf-8"])
    assert b"Home Page!" in answer.body


@pytest.mark.row("E2")
def test_an_announcement_of_the_leader_that_is_known(node: OrderNode) -> None:
    assert announce(node, 1) == (200, {"status": "Leader updated successfully"})
    node.replica.leads, node.replica.leader = False, "order-3"
    assert announce(node, 3) == (200, {"status": "Leader updated successfully"})


@pytest.mark.row("E2")
@pytest.mark.parametrize("data", [b"", b"{}", b'{"leader_id":3}', b'{"leader":{"host":"h","port":1}}', b'{"leader":{}}'])
def test_an_announcement_of_nothing(node: OrderNode, data: bytes) -> None:
    answer = node.ask("POST", "/notify_leader_info_to_replica", data)
    assert (answer.status, json.loads(answer.body)) == (400, {"error": "No leader information provided"})


@pytest.mark.row("E2", "E5")
@pytest.mark.parametrize(
    ("path", "data"),
    [
        ("/notify_leader_info_to_replica", b"{"),
        ("/notify_leader_info_to_replica", b'{"leader":"h:1","leader_id":3}'),
        ("/notify_leader_info_to_replica", b'{"leader":{"host":"h","port":1},"leader_id":"3"}'),
        ("/leader_info_1", b""),
        ("/leader_info_1", b'{"leader":0}'),
        ("/leader_info_1", b'{"leader":true}'),
    ],
)
def test_an_announcement_that_can_not_be_read(node: OrderNode, path: str, data: bytes) -> None:
    answer = node.ask("POST", path, data)
    assert (answer.status, json.loads(answer.body)["error"]) == (400, "malformed")


@pytest.mark.row("E2", "E5")
@pytest.mark.fault(6)
def test_nobody_is_made_the_leader_by_being_called_so(node: OrderNode) -> None:
    node.replica.leads, node.replica.leader = False, "order-3"
    status, told = announce(node, 1)
    assert (status, told["error"][:39]) == (409, "order-1 does not lead: the leader is or")
    assert node.ask("POST", "/leader_info_1", b'{"leader":1}').status == 409
    assert node.ask("POST", "/ledger", encode_batch("toys", "front-1", [buy("a")])).status == 421
    node.replica.leader = None
    status, told = announce(node, 3)
    assert (status, "no leader is known here" in told["error"]) == (409, True)
    node.replica.leads, node.replica.leader = True, "order-1"
    assert announce(node, 3)[0] == 409
    assert node.ask("POST", "/ledger", encode_batch("toys", "front-1", [buy("a")])).status == 200


@pytest.mark.row("E5")
def test_a_replica_answers_to_its_own_id(node: OrderNode) -> None:
    assert node.get("/ping_1") == (200, {"data": {"id": 1}})
    assert node.get("/ping_2/") == (404, {"error": "not_found", "detail": "this is order-1, not order-2"})
    told = node.ask("POST", "/leader_info_1/", b'{"leader":1}')
    assert (told.status, json.loads(told.body)) == (200, {"data": {"leader": 1}})
    assert node.ask("POST", "/leader_info_2", b'{"leader":1}').status == 404


# The first catalog ------------------------------------------------------------------------------------------


@pytest.mark.row("C1", "C3")
def test_the_catalog_is_loaded_once_by_whoever_leads() -> None:
    clock, replica = Clock(), FakeReplica(rows=())
    replica.leads = False
    seed = Seed(replica, TOYS, clock)
    seed.start()
    clock.advance(EVERY)
    assert replica.position() == Position(0, 0)
    replica.leads = True
    clock.advance(EVERY)
    assert [request.request_id for request in replica.submitted] == [replica.submitted[0].request_id]
    assert replica.submitted[0].request_id.startswith("load-catalog-")
    clock.advance(EVERY)
    assert len(replica.submitted) == 1
    assert not clock.getDelayedCalls(), "it stops for good"


@pytest.mark.row("C1")
def test_a_replica_is_not_ready_before_the_catalog_is_loaded() -> None:
    clock, node = Clock(), OrderNode(FakeReplica(rows=()))
    node.replica.leads = False
    seed = Seed(node.replica, TOYS, clock)
    node.routes.health = evolve(node.routes.health, waits_for=seed.waits_for)
    seed.start()
    assert node.get("/readyz") == (503, {"ready": False, "reasons": ["the first catalog is not loaded yet"]})
    node.replica.leads = True
    clock.pump([EVERY, EVERY])
    assert node.get("/readyz")[0] == 200


def test_a_ledger_with_products_is_left_alone() -> None:
    clock, replica = Clock(), FakeReplica()
    Seed(replica, TOYS, clock).start()
    assert (replica.submitted, clock.getDelayedCalls()) == ([], [])


def test_a_catalog_that_is_refused_is_not_sent_for_ever() -> None:
    clock, replica = Clock(), FakeReplica(rows=())
    Seed(replica, [CatalogRow("Tux", 1, 1), CatalogRow("Tux", 1, 1)], clock).start()
    assert len(replica.submitted) == 1
    assert not clock.getDelayedCalls()


def test_a_seed_that_is_stopped_while_it_waits() -> None:
    clock, replica = Clock(), FakeReplica(rows=())
    replica.held = True
    seed = Seed(replica, TOYS, clock)
    seed.start()
    clock.advance(EVERY)
    assert len(replica.submitted) == 1, "it does not send another while one is on its way"
    seed.stop()
    assert not clock.getDelayedCalls()
