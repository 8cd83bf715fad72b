"""The nine drills, in the words of rows X1 to X9."""

from __future__ import annotations

from collections.abc import Mapping

from toystore.drills.customers import Asks, Case, ClientBegins, ClientEnds, ClientGoesOn, ClientRun, KilledInFlight
from toystore.drills.files import Files
from toystore.drills.nodes import Kill, Leads, Restart, Serves, Start, Stays
from toystore.drills.scene import Drill, Order, Shop
from toystore.shop.cases import CASES

TRADER = Shop("trader", 1, "trader-orders", "stockOrderDB_{id}.txt")
BAZAAR = Shop("bazaar", 0, "bazaar-orders", "order{id}.txt")
TOYS = Shop("toys", 0, "toys-orders", "order_log_{id}.csv")
FLASK = Shop("flask", 1, "bazaar-orders", "order{id}.txt")
TITLES = (
    "How to get a good grade in 677 in 20 minutes a day",
    "RPCs for Dummies",
    "Xen and the Art of Surviving Graduate School",
    "Cooking for the Impatient Graduate Student",
    "How to finish Project 3 on time",
    "Why theory classes are so hard.",
    "Spring in the Pioneer Valley",
)
BOOKS = Shop("books", 0, "books-changes", "db_logcatalog{id}.csv", asked_in="v1", products=TITLES)


def scripted(sold: int, bought_all: int | None, bought: int) -> ClientRun:
    """The trader's own client (row B4), with the numbers that it gets. stock5 lasts for one run only; the last two orders
    are never taken."""
    numbers = (sold, bought_all, bought, None, None)
    return ClientRun(
        tuple(Case(case.side.lower(), case.quantity, case.name, gets) for case, gets in zip(CASES, numbers, strict=True))
    )


def trade(first: int, *names: str) -> ClientRun:
    """Sell and buy by turns, ten of each."""
    sides = ("sell", "buy")
    return ClientRun(tuple(Case(sides[n % 2], 10, name, first + n) for n, name in enumerate(names)))


X1 = Drill(
    "X1",
    "start; client run; kill follower 1; client run (orders 4, 5 only on 2, 3); restart 1 (file catches up); client run "
    "(6, 7 on all); kill leader 3 (front end elects 2 by itself, all are told); client run (8, 9); restart 3 (syncs from "
    "2, 2 stays leader); client run (10, 11 on all)",
    TRADER,
    (
        Start("order-3"),
        scripted(1, 2, 3),
        Files("orders 1 to 3 on all", {1: 3, 2: 3, 3: 3}),
        Kill("order-1"),
        scripted(4, None, 5),
        Files("orders 4, 5 only on 2, 3", {1: 3, 2: 5, 3: 5}),
        Restart("order-1"),
        Files("file of 1 catches up", {1: 5, 2: 5, 3: 5}),
        scripted(6, None, 7),
        Files("6, 7 on all", {1: 7, 2: 7, 3: 7}),
        Kill("order-3"),
        Leads("order-2", "front end elects 2 by itself, and all are told"),
        scripted(8, None, 9),
        Files("8, 9 only on 1, 2", {1: 9, 2: 9, 3: 7}),
        Restart("order-3"),
        Files("3 syncs from 2", {1: 9, 2: 9, 3: 9}),
        Stays("order-2", "2 stays leader"),
        scripted(10, None, 11),
        Files("10, 11 on all", {1: 11, 2: 11, 3: 11}),
    ),
)

X2 = Drill(
    "X2",
    "propagation: three files equal",
    BAZAAR,
    (
        Start("order-3"),
        trade(0, "gamestop", "apple", "tesla", "nvidia"),
        Files("three files equal", {1: 3, 2: 3, 3: 3}),
    ),
)

X3 = Drill(
    "X3",
    "highest dead on arrival: files 1 and 2 equal, file 3 `{}`",
    BAZAAR,
    (
        Start("order-2", without=("order-3",)),
        trade(0, "gamestop", "apple", "tesla"),
        Files("files 1 and 2 equal, file 3 `{}`", {1: 2, 2: 2, 3: None}),
    ),
)

X4 = Drill(
    "X4",
    "leader killed while a POST is in flight: client gets its number; files 1 = 2",
    BAZAAR,
    (
        Start("order-3"),
        trade(0, "gamestop", "apple"),
        KilledInFlight("order-3", Case("buy", 7, "ford", 2)),
        Files("files 1 = 2", {1: 2, 2: 2}),
        Leads("order-2", "2 leads now"),
        trade(3, "nike", "amc"),
        Files("files 1 = 2", {1: 4, 2: 4}),
    ),
)

X5 = Drill(
    "X5",
    "follower 2 killed: files 1 = 3",
    BAZAAR,
    (
        Start("order-3"),
        trade(0, "gamestop", "apple"),
        Files("three files equal", {1: 1, 2: 1, 3: 1}),
        Kill("order-2"),
        trade(2, "meta", "intel"),
        Files("files 1 = 3", {1: 3, 2: 1, 3: 3}),
        Stays("order-3", "3 still leads"),
    ),
)

X6 = Drill(
    "X6",
    "leader, then follower, killed and restarted: three files equal",
    BAZAAR,
    (
        Start("order-3"),
        trade(0, "gamestop", "apple"),
        Kill("order-3"),
        trade(2, "tesla", "ford"),
        Restart("order-3"),
        Files("leader killed and restarted: three files equal", {1: 3, 2: 3, 3: 3}),
        Kill("order-1"),
        trade(4, "meta", "intel"),
        Restart("order-1"),
        Files("follower killed and restarted: three files equal", {1: 5, 2: 5, 3: 5}),
        trade(6, "nike", "amc"),
    ),
)

X7 = Drill(
    "X7",
    "kill 2 / restart 2 / kill 3 / restart 3 while the client runs: nothing visible to the client, logs identical",
    TOYS,
    (
        Start("order-3"),
        ClientBegins(),
        Kill("order-2"),
        ClientGoesOn(),
        Restart("order-2"),
        ClientGoesOn(),
        Kill("order-3"),
        ClientGoesOn(),
        Restart("order-3"),
        Leads("order-3", "the highest takes over again, at once"),
        ClientGoesOn(),
        ClientEnds(),
    ),
    preference="highest",
)


def book(number: int, cost: int, quantity: int) -> Mapping[str, str | int]:
    """The answer to a lookup."""
    return {"title": TITLES[number - 1], "cost": cost, "quantity": quantity}


def buy(number: int, order: int) -> Asks:
    """One copy; the answer does not tell the number of the order."""
    acknowledged = Order(order, TITLES[number - 1], 1)
    return Asks(f"buy book {number}", f"/buy/{number}", "Record successfully bought", acknowledged)


X8 = Drill(
    "X8",
    "kill catalog 2, update on 1, resync, restart: 2 serves the new value",
    BOOKS,
    (
        Start("order-3"),
        buy(1, order=0),
        Asks("look up book 1", "/lookup/1", book(1, 50, 99)),
        Kill("catalog-2"),
        Asks("update on 1", "/update_c/1/10", "Cost of item :1 successfully updated to:10"),
        buy(1, order=1),
        buy(2, order=2),
        Asks("clients notice nothing", "/lookup/1", book(1, 10, 98)),
        Asks("clients notice nothing", "/lookup/3", book(3, 12, 100)),
        Restart("catalog-2"),
        Serves("2 serves the new value", "catalog-2", TITLES[0], price=1000, quantity=98),
        buy(1, order=3),
        Serves("and goes on with the others", "catalog-2", TITLES[0], price=1000, quantity=97),
    ),
)

X9 = Drill(
    "X9",
    "leader 3 dies -> 2 -> 3 returns as follower and asks `databasesync`",
    FLASK,
    (
        Start("order-3"),
        trade(1, "FrendCo", "MehirCo"),
        Asks("who leads?", "/find_leader_1", {"data": {"leader": 3}}),
        Files("three files equal", {1: 2, 2: 2, 3: 2}),
        Kill("order-3"),
        Leads("order-2", "-> 2"),
        Asks("who leads?", "/find_leader_1", {"data": {"leader": 2}}),
        trade(3, "LionCo", "FishCo"),
        Files("1 and 2 have the orders that 3 misses", {1: 4, 2: 4, 3: 2}),
        Restart("order-3"),
        Stays("order-2", "3 returns as follower"),
        Asks("3 asks who leads", "/find_leader_3", {"data": {"leader": 2}}),
        Files("`databasesync`: 3 fetches what it missed", {1: 4, 2: 4, 3: 4}),
        trade(5, "EnergyCo", "BoarCo"),
    ),
)

DRILLS: Mapping[str, Drill] = {drill.name: drill for drill in (X1, X2, X3, X4, X5, X6, X7, X8, X9)}
