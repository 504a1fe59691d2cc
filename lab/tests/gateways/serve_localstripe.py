"""localstripe (PyPI) on 127.0.0.1 alone, and without its file in /tmp: it would hold card numbers."""

import sys

from aiohttp import web
from localstripe import server
from localstripe.resources import store

store.dump_to_disk = lambda: None
web.run_app(server.app, host="127.0.0.1", port=int(sys.argv[1]), access_log=None, print=None)
