"""
What runs inside the server: each script is one step that happens whole or not at all.

A server takes nothing back of a script that it stops in the middle, and it may refuse any command there: for
want of a right, or because it was renamed. So a script has read all it needs before it writes, and either
writes with one command, or notes with each what takes it back, and is refused nothing that this needs.

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
from papyra.metrics.names import NAMES

#: The counter that an append moves itself; of the others a store object tells its totals.
WRITTEN: Final = "records_written"
REPORTED: Final = tuple(name for name in NAMES if name != WRITTEN)


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
        self.text: str = "".join((*names, *texts))
        self.sha: str = sha1(self.text.encode(), usedforsecurity=False).hexdigest()

    def words(self, keys: Keys, arguments: Sequence[str | bytes | int]) -> list[str | bytes | int]:
        """Return the command's words after the script: its keys, then *arguments*."""
        its: list[str] = [getattr(keys, name) for name in self._keys]
        return [len(its), *its, *arguments]


#: ARGV: token. The interval that ends is kept, for whoever asks again with the same token. It returns
#: its counts; or the name of a counter that is damaged, as a list, and nothing was reset.
RESET: Final = Script(
    "counters",
    "local names = {" + ", ".join(f"'{name}'" for name in NAMES) + "}\n",
    """
if redis.call('EXISTS', counters) == 0 then return false end
if redis.call('HGET', counters, 'reset') == ARGV[1] then return redis.call('HGET', counters, 'ended') end
local ended, new = {}, {'HSET', counters}
for i, name in ipairs(names) do
  local total = redis.call('HGET', counters, name) or '0'
  local base = redis.call('HGET', counters, 'baseline:' .. name) or '0'
  if not total:match('^%-?%d+$') or not base:match('^%-?%d+$') then return {name} end
  ended[i] = string.format('%.0f', total - base)
  new[#new + 1], new[#new + 2] = 'baseline:' .. name, total
end
for _, word in ipairs({'since', redis.call('TIME')[1], 'reset', ARGV[1], 'ended', table.concat(ended, ' ')}) do
  new[#new + 1] = word
end
redis.call(unpack(new))
return table.concat(ended, ' ')
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

#: ARGV: where to begin and end, the most entries, the bytes of lines after which it ends, what stands
#: before a line's checksum, how many bytes there are from there on, and how many of its last ones to
#: return. It returns these of each line that has one such mark, at its end, joined by newlines; the
#: fields of every other entry; where to go on; and whether there is nothing more.
LINE_ENDS: Final = Script(
    "records",
    """
local ends, others, looked, size, from = {}, {}, 0, 0, ARGV[1]
local most, bytes, mark, behind, shown = tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5], ARGV[6] - 1, -ARGV[7]
while looked < most and size < bytes do
  local entries = redis.call('XRANGE', records, from, ARGV[2], 'COUNT', 8)
  for _, entry in ipairs(entries) do
    local fields = entry[2]
    local line = fields[2]
    if #fields == 2 and fields[1] == 'line' and line:find(mark, 1, true) == #line - behind then
      ends[#ends + 1] = line:sub(shown)
      size = size + #line
    else
      others[#others + 1] = fields
      for _, field in ipairs(fields) do size = size + #field end
    end
    from = '(' .. entry[1]
  end
  looked = looked + #entries
  if #entries < 8 then return {table.concat(ends, '\\n'), others, from, 1} end
end
return {table.concat(ends, '\\n'), others, from, 0}
""",
)

#: ARGV: where to begin. It returns the next entries of the quarantine, each as its id, the recovery
#: that it is of, and the bytes that were damaged; what an earlier version saved does not say it, so there it is
#: what was saved, each value with a newline.
SAVED: Final = Script(
    "quarantine",
    """
local page, from = {}, ARGV[1]
while #page < 1000 do
  local entries = redis.call('XRANGE', quarantine, from, '+', 'COUNT', 8)
  for _, entry in ipairs(entries) do
    local fields, size = entry[2], nil
    if fields[7] == 'bytes' and #fields > 8 then size = tonumber(fields[8]) end
    if not size then
      size = 0
      for i = 8, #fields, 2 do size = size + #fields[i] + 1 end
    end
    page[#page + 1] = {entry[1], fields[2], size}
    from = '(' .. entry[1]
  end
  if #entries < 8 then break end
end
return page
""",
)

#: The types of the four keys, which also shows whether scripts may run; then each command that an append
#: needs and is refused, and why. None of them changes anything: those that write are malformed, or
#: delete what is not there.
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
