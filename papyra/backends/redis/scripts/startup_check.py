"""Try the commands that a store needs, without a change."""

from typing import Final

from papyra.backends.redis.scripts.script import Script

#: Return the types of the four keys, and each command that an append needs and the server refuses, with the reason.
#:
#: This shows too whether scripts may run. None of the commands changes anything: those that write are malformed, or
#: delete an entry that does not exist.
TYPES: Final = Script(
    "records writers counters quarantine",
    """
local types, refused = {}, {}
for i, key in ipairs(KEYS) do types[i] = redis.call('TYPE', key).ok end
for _, try in ipairs({
  {'HSET', counters, 'a', '1', 'b'}, {'HINCRBY', counters, 'a', 'x'}, {'XADD', records, '0-0', 'line', ''},
  {'XDEL', records, '0-0'}, {'HDEL', writers, ''}, {'HGET', writers, ''}, {'TIME'},
}) do
  local reply = redis.pcall(unpack(try))
  if type(reply) == 'table' and reply.err then refused[#refused + 1] = {try[1], reply.err} end
end
return {types, refused}
""",
)
