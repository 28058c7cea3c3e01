"""
What runs inside the server: each script is one step that happens whole or not at all.

A script is sent again where its reply was lost, so each does nothing the second time.

    :writers   WRITER -> "seconds last"             when it last wrote, and its last number
               OBJECT:counts -> "seconds n1 ... n9"  what that store object told of its counters
               import -> "seconds TOKEN"             when the import that is under way was there last
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
    """
    A script, and its name in the server's cache.

    Args:
        keys: Names of the keys that it uses, and no other: a cluster that moves their slot serves
            a script as long as all its keys are in one place, and one that is nowhere is in none.
        texts: What it does, with these names for them.
    """

    def __init__(self, keys: str, *texts: str) -> None:
        self._keys = keys.split()
        names = (f"local {name} = KEYS[{n}]\n" for n, name in enumerate(self._keys, 1))
        self.text = "".join((*names, *texts))
        self.sha = sha1(self.text.encode(), usedforsecurity=False).hexdigest()

    def words(self, keys: Keys, arguments: Sequence[str | bytes | int]) -> list[str | bytes | int]:
        """Return the command's words after the script: its keys, then *arguments*."""
        its: list[str] = [getattr(keys, name) for name in self._keys]
        return [len(its), *its, *arguments]


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
    "records writers counters",
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
    "records writers counters",
    _TAKE_IN,
    """
if redis.call('EXISTS', records, counters) == 0 then return 0 end
take_in(ARGV[1], ARGV[2], redis.call('TIME')[1])
return 1
""",
)

#: ARGV: token. The interval that ends is kept, for whoever asks again with the same token.
RESET: Final = Script(
    "counters",
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
    "records quarantine",
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
    "records",
    """
local ids = {}
for i, entry in ipairs(redis.call('XRANGE', records, ARGV[1], ARGV[2], 'COUNT', ARGV[3])) do ids[i] = entry[1] end
if #ids > 0 then redis.call('XDEL', records, unpack(ids)) end
return #ids
""",
)

#: ARGV: writers that may be forgotten, each followed by what is known of it: one that wrote since
#: stays.
FORGET: Final = Script(
    "writers",
    """
local gone = 0
for i = 1, #ARGV, 2 do
  if redis.call('HGET', writers, ARGV[i]) == ARGV[i + 1] then
    gone = gone + redis.call('HDEL', writers, ARGV[i])
  end
end
return gone
""",
)

#: ARGV: token, seconds after which another's is void. It returns 1 if the import may go on.
CLAIM: Final = Script(
    "writers",
    """
local now = tonumber(redis.call('TIME')[1])
local since, token = (redis.call('HGET', writers, 'import') or ''):match('(%d+) (%w+)')
if since and token ~= ARGV[1] and now - since < tonumber(ARGV[2]) then return 0 end
redis.call('HSET', writers, 'import', now .. ' ' .. ARGV[1])
return 1
""",
)

#: ARGV: token.
LEAVE: Final = Script(
    "writers",
    """
local token = (redis.call('HGET', writers, 'import') or ''):match(' (%w+)')
return token == ARGV[1] and redis.call('HDEL', writers, 'import') or 0
""",
)

#: ARGV: XRANGE or XREVRANGE, where to begin and end, the most entries, and the bytes after which it
#: ends. Entries are taken a few at a time, so that large ones cannot fill the memory. It returns them,
#: and whether they were the last ones.
PAGE: Final = Script(
    "records",
    """
local page, size, from, few = {}, 0, ARGV[2], 8
local most, bytes = tonumber(ARGV[4]), tonumber(ARGV[5])
while #page < most and size < bytes do
  local wanted = math.min(few, most - #page)
  local entries = redis.call(ARGV[1], records, from, ARGV[3], 'COUNT', wanted)
  for _, entry in ipairs(entries) do
    page[#page + 1] = entry
    for _, field in ipairs(entry[2]) do size = size + #field end
  end
  if #entries < wanted then return {page, 1} end
  from = '(' .. entries[wanted][1]
end
return {page, 0}
""",
)

#: ARGV: where to begin. It returns the next entries of the quarantine, each as its id, the recovery
#: that it is of, and the bytes of what was saved.
SAVED: Final = Script(
    "quarantine",
    """
local page, from = {}, ARGV[1]
while #page < 1000 do
  local entries = redis.call('XRANGE', quarantine, from, '+', 'COUNT', 8)
  for _, entry in ipairs(entries) do
    local fields, size = entry[2], 0
    for i = 8, #fields, 2 do size = size + #fields[i] end
    page[#page + 1] = {entry[1], fields[2], size}
    from = '(' .. entry[1]
  end
  if #entries < 8 then break end
end
return page
""",
)

#: The types of the four keys: it also shows whether scripts may run.
TYPES: Final = Script(
    "records writers counters quarantine",
    """
local types = {}
for i, key in ipairs(KEYS) do types[i] = redis.call('TYPE', key).ok end
return types
""",
)
