"""
What runs inside the server: each script is one step that happens whole or not at all.

A script is sent again where its reply was lost, so each does nothing the second time.

    :writers   WRITER -> "seconds last"             when it last wrote, and its last number
               OBJECT:counts -> "seconds n1 ... n9"  what that store object told of its counters
    :counters  NAME -> total, baseline:NAME -> total at the last reset, since -> seconds,
               reset, ended -> the last reset's token and the counts of the interval it ended
"""

from collections.abc import Sequence
from hashlib import sha1
from typing import Final

from papyra.backends.redis.address import Keys
from papyra.metrics import NAMES

#: The counter that an append moves itself; of the others a store object tells its totals.
WRITTEN: Final = "records_written"
TOLD: Final = tuple(name for name in NAMES if name != WRITTEN)


class Script:
    """A script, and its name in the server's cache."""

    def __init__(self, *texts: str) -> None:
        self.text = "".join(texts)
        self.sha = sha1(self.text.encode(), usedforsecurity=False).hexdigest()

    def words(self, keys: Keys, arguments: Sequence[str | bytes | int]) -> list[str | bytes | int]:
        """Return the command's words after the script: the four keys, then *arguments*."""
        return [4, keys.records, keys.writers, keys.counters, keys.quarantine, *arguments]


_KEYS: Final = "local records, writers, counters, quarantine = KEYS[1], KEYS[2], KEYS[3], KEYS[4]\n"

#: Add what an object's nine totals rose since it told them last. It sends those that it knows to
#: have been taken in, and those of now; whatever comes twice or late raises nothing.
_TAKE_IN: Final = (
    "local told = {"
    + ", ".join(f"'{name}'" for name in TOLD)
    + """}
local function take_in(object, report, now)
  if report == '' then return end
  local field, known, sent, line = object .. ':counts', {}, {}, {now}
  for n in (redis.call('HGET', writers, field) or ''):gmatch('%d+') do known[#known + 1] = tonumber(n) end
  for n in report:gmatch('%d+') do sent[#sent + 1] = tonumber(n) end
  for i, name in ipairs(told) do
    local before = math.max(known[i + 1] or 0, sent[2 * i - 1])
    local total = math.max(before, sent[2 * i])
    if total > before then redis.call('HINCRBY', counters, name, total - before) end
    line[#line + 1] = string.format('%.0f', total)
  end
  redis.call('HSET', writers, field, table.concat(line, ' '))
  redis.call('HSETNX', counters, 'since', now)
end
"""
)

#: ARGV: writer, number of its last line, object, report, lines. The counters come first: once the
#: lines stand nothing may refuse any more, and what refuses them takes the count back.
APPEND: Final = Script(
    _KEYS,
    _TAKE_IN,
    """
local writer, last, count = ARGV[1], ARGV[2], #ARGV - 4
local seen = redis.call('HGET', writers, writer)
if seen and tonumber(seen:match(' (%d+)')) >= tonumber(last) then return 0 end
local now = redis.call('TIME')[1]
take_in(ARGV[3], ARGV[4], now)
redis.call('HINCRBY', counters, 'records_written', count)
local added = {}
for i = 5, #ARGV do
  local id = redis.pcall('XADD', records, '*', 'line', ARGV[i])
  if type(id) == 'table' then
    for _, done in ipairs(added) do redis.call('XDEL', records, done) end
    redis.call('HINCRBY', counters, 'records_written', -count)
    return id
  end
  added[#added + 1] = id
end
redis.call('HSET', writers, writer, now .. ' ' .. last)
redis.call('HSETNX', counters, 'since', now)
return count
""",
)

#: ARGV: object, report. Where there is no store nothing is told: looking makes none.
REPORT: Final = Script(
    _KEYS,
    _TAKE_IN,
    """
if redis.call('EXISTS', records, counters) == 0 then return 0 end
take_in(ARGV[1], ARGV[2], redis.call('TIME')[1])
return 1
""",
)

#: ARGV: token. The interval that ends is kept, for whoever asks again with the same token.
RESET: Final = Script(
    _KEYS,
    "local names = {" + ", ".join(f"'{name}'" for name in NAMES) + "}\n",
    """
if redis.call('EXISTS', counters) == 0 then return false end
if redis.call('HGET', counters, 'reset') ~= ARGV[1] then
  local ended = {}
  for i, name in ipairs(names) do
    local total = redis.call('HGET', counters, name) or '0'
    ended[i] = string.format('%.0f', total - (redis.call('HGET', counters, 'baseline:' .. name) or 0))
    redis.call('HSET', counters, 'baseline:' .. name, total)
  end
  redis.call('HSET', counters, 'since', redis.call('TIME')[1])
  redis.call('HSET', counters, 'reset', ARGV[1], 'ended', table.concat(ended, ' '))
end
return redis.call('HGET', counters, 'ended')
""",
)

#: ARGV: entry, recovery ("" if nothing is to be saved), anomaly, lines that take its place.
MOVE: Final = Script(
    _KEYS,
    """
local entry = redis.call('XRANGE', records, ARGV[1], ARGV[1])[1]
if not entry then return 0 end
if ARGV[2] ~= '' then
  local fields = entry[2]
  if #fields > 1000 then fields = {'packed', cmsgpack.pack(fields)} end
  redis.call('XADD', quarantine, '*', 'recovery', ARGV[2], 'entry', ARGV[1], 'anomaly', ARGV[3], unpack(fields))
end
for i = 4, #ARGV do redis.call('XADD', records, '*', 'line', ARGV[i]) end
redis.call('XDEL', records, ARGV[1])
return 1
""",
)

#: ARGV: first entry, last entry, the most to delete in this step.
DROP: Final = Script(
    _KEYS,
    """
local ids = {}
for i, entry in ipairs(redis.call('XRANGE', records, ARGV[1], ARGV[2], 'COUNT', ARGV[3])) do ids[i] = entry[1] end
if #ids > 0 then redis.call('XDEL', records, unpack(ids)) end
return #ids
""",
)

#: ARGV: seconds unseen after which a writer is forgotten.
PRUNE: Final = Script(
    _KEYS,
    """
local oldest, gone = redis.call('TIME')[1] - ARGV[1], 0
local all = redis.call('HGETALL', writers)
for i = 1, #all, 2 do
  if tonumber(all[i + 1]:match('^%d+')) < oldest then
    redis.call('HDEL', writers, all[i])
    gone = gone + 1
  end
end
return gone
""",
)

#: The types of the four keys: it also shows whether scripts may run.
TYPES: Final = Script(
    """
local types = {}
for i, key in ipairs(KEYS) do types[i] = redis.call('TYPE', key).ok end
return types
"""
)
