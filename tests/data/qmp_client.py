"""Talks to an agent with the package qemu.qmp: argv[1] is the socket, argv[2] a list of [command, arguments]
in JSON; prints the list of ["return", value] or ["error", class, description] in JSON."""

import asyncio
import json
import sys

from qemu.qmp import ExecuteError, QMPClient


async def main():
    client = QMPClient("test")
    client.await_greeting = False
    client.negotiate = False
    await client.connect(sys.argv[1])
    results = []
    for command, arguments in json.loads(sys.argv[2]):
        try:
            value = await client.execute(command, arguments)
            results.append(["return", value])
        except ExecuteError as error:
            results.append(["error", error.error_class, str(error)])
    # Several requests on their way at once: each reply must find its own by the id.
    pings = [client.execute("guest-sync", {"id": number}) for number in range(20)]
    results.append(["return", await asyncio.gather(*pings)])
    await client.disconnect()
    print(json.dumps(results))


asyncio.run(main())
