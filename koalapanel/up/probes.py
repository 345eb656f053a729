"""Short questions to the children: does the store answer, does the web server?"""

import http.client
from urllib.parse import urlsplit

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

PATIENCE = 1.0  # seconds; the process manager stands still meanwhile


def store_answers(url: str) -> bool:
    """Whether the store has its data loaded and answers PING."""
    client = redis.Redis.from_url(
        url, socket_timeout=PATIENCE, socket_connect_timeout=PATIENCE, retry=Retry(NoBackoff(), 0)
    )
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False
    finally:
        client.close()


def web_answers(url: str, host_header: str) -> str | None:
    """`None` once GET /healthz answers 200, else what it does instead.

    It is asked for by the name that visitors use: ALLOWED_HOSTS need not list the address it listens on.
    """
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=PATIENCE)
    try:
        connection.request("GET", "/healthz", headers={"Host": host_header, "Connection": "close"})
        status = connection.getresponse().status
    except OSError as error:
        return str(error)
    except http.client.HTTPException as error:
        return repr(error)
    finally:
        connection.close()
    return None if status == 200 else f"HTTP {status} from /healthz"
