"""
Append a batch to the stream, once: where the server finds out that it has a batch already.

The server remembers the number of each writer's last record. A batch whose reply was lost is sent again under the
same numbers, and so is not stored a second time.
"""

from typing import Final

from papyra.backends.redis.scripts.counters import TAKE_IN
from papyra.backends.redis.scripts.rollback import PUT, ROLLBACK
from papyra.backends.redis.scripts.script import Script

#: The bits of what `APPEND` returns. 0 says that the writer's numbers belong to other records.
STORED: Final = 4
HAD: Final = 2
TAKEN_IN: Final = 1

#: Store the lines of a batch, unless they are there already, and take in the report if it stores them.
#:
#: ARGV: the writer, the number of its last line, the object, its report, the lines.
#:
#: Each command that may be refused comes before the lines; of these only the first may be refused, unless the stream
#: runs out of ids. Most batches bring no report and set no new field, so they do without the functions for these.
APPEND: Final = Script(
    "records writers counters",
    """
local writer, last, count, report = ARGV[1], ARGV[2], #ARGV - 4, ARGV[4]
local seen = redis.call('HGET', writers, writer)
if seen then
  local ahead = tonumber(seen:match(' (%d+)')) - last
  if ahead > -count then return ahead >= 0 and 2 or 0 end
end
local now, since, no = redis.call('TIME')[1], redis.call('HGET', counters, 'since'), nil
local line = now .. ' ' .. last
""",
    ROLLBACK,
    """
if seen and since and report == '' then
  no = refused(redis.pcall('HSET', writers, writer, line))
  if no then return no end
  undo[1] = {'HSET', writers, writer, seen}
else
""",
    PUT,
    TAKE_IN,
    """
  local fields, totals = {writer, seen, line}, {}
  no = take_in(ARGV[3], report, now, fields, totals)
  if no then return no end
  if not since then
    push(totals, 'since', false, now)
    local total = redis.call('HGET', counters, 'records_written')
    if not total then push(totals, 'records_written', false, 0) end
  end
  no = put(counters, totals) or put(writers, fields)
  if no then return no end
end
no = refused(redis.pcall('HINCRBY', counters, 'records_written', count))
if no then return no end
undo[#undo + 1] = {'HINCRBY', counters, 'records_written', -count}
if count > 1 then
  no = refused(redis.pcall('XDEL', records, '0-0'))
  if no then return no end
end
local added = {}
for i = 5, #ARGV do
  local id = redis.pcall('XADD', records, '*', 'line', ARGV[i])
  if type(id) == 'table' then
    for _, done in ipairs(added) do redis.call('XDEL', records, done) end
    return refused(id)
  end
  added[i - 4] = id
end
return 5
""",
)
