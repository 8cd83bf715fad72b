"""The three roles, as `twistd` finds them."""

from twisted.application.service import ServiceMaker

order = ServiceMaker(
    "toystore order replica",
    "toystore.orders.tap",
    "A toystore order replica: agrees on every order before it is acknowledged.",
    "toystore-order",
)
catalog = ServiceMaker(
    "toystore catalog replica",
    "toystore.catalog.tap",
    "A toystore catalog replica: answers lookups and pushes every change.",
    "toystore-catalog",
)
front = ServiceMaker(
    "toystore front end",
    "toystore.frontend.tap",
    "A toystore front end: speaks to customers.",
    "toystore-front",
)
