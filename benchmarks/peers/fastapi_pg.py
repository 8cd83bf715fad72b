# The peer, kept as it is: neither its style nor its types are ours.
# fmt: off
# ruff: noqa
# mypy: ignore-errors
"""The store without replication, as it is usually built: FastAPI, asyncpg, one PostgreSQL. A peer for benchmarks."""
import contextlib
import os

import asyncpg
from fastapi import FastAPI, HTTPException
from pydantic import BaseModel

TOYS = ["Tux", "Whale", "Fox", "Python", "Barbie", "Lego", "Monopoly", "Frisbee", "Marbles", "Giraffe"]
SCHEMA = """
drop table if exists orders;
drop table if exists product;
create table product (name text primary key, price numeric, quantity bigint check (quantity >= 0));
create table orders (number bigserial primary key, name text, quantity int);
"""


@contextlib.asynccontextmanager
async def lifespan(app: FastAPI):
    app.state.pool = await asyncpg.create_pool(os.environ["PEER_DSN"], min_size=8, max_size=16)
    async with app.state.pool.acquire() as connection:
        await connection.execute(SCHEMA)
        await connection.executemany("insert into product values ($1, 9.99, 100000000)", [(toy,) for toy in TOYS])
    yield
    await app.state.pool.close()


app = FastAPI(lifespan=lifespan)


class Order(BaseModel):
    name: str
    quantity: int


@app.get("/products/{name}")
async def product(name: str):
    async with app.state.pool.acquire() as connection:
        row = await connection.fetchrow(
            "select name, price::float8, quantity from product where name = $1", name
        )
    if row is None:
        raise HTTPException(404)
    return {"data": dict(row)}


@app.post("/orders/")
async def place(order: Order):
    async with app.state.pool.acquire() as connection, connection.transaction():
        left = await connection.fetchval(
            "update product set quantity = quantity - $2 where name = $1 and quantity >= $2 returning quantity",
            order.name,
            order.quantity,
        )
        if left is None:
            raise HTTPException(409)
        number = await connection.fetchval(
            "insert into orders (name, quantity) values ($1, $2) returning number", order.name, order.quantity
        )
    return {"data": {"order_number": number}}
