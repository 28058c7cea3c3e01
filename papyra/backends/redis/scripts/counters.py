"""Take in the counts that store objects report, and reset the counters of them all."""

from typing import Final

from papyra.backends.redis.scripts.rollback import PUT, ROLLBACK
from papyra.backends.redis.scripts.script import Script
from papyra.metrics.names import NAMES

#: The counters that a store object reports as totals; the append script raises `records_written` itself.
REPORTED: Final = tuple(name for name in NAMES if name != "records_written")

#: Work out by how much an object's nine totals rose since its last report; write nothing yet.
#:
#: A report has two numbers for each counter: the total that the object knows to have been taken in, and its total
#: now. So a report that comes twice, or late, raises nothing.
TAKE_IN: Final = (
    "local reported = {"
    + ", ".join(f"'{name}'" for name in REPORTED)
    + """}
local function take_in(object, report, now, fields, totals)
  if report == '' then return nil end
  local field, known, sent, line = object .. ':counts', {}, {}, {now}
  local held = redis.call('HGET', writers, field)
  for n in (held or ''):gmatch('%d+') do known[#known + 1] = tonumber(n) end
  for n in report:gmatch('%d+') do sent[#sent + 1] = tonumber(n) end
  for i, name in ipairs(reported) do
    local before = math.max(known[i + 1] or 0, sent[2 * i - 1])
    local total = math.max(before, sent[2 * i])
    if total > before then
      local sum = redis.call('HGET', counters, name)
      if sum and not sum:match('^%-?%d+$') then return redis.error_reply('DAMAGED ' .. name) end
      push(totals, name, sum, string.format('%.0f', (sum or 0) + total - before))
    end
    line[#line + 1] = string.format('%.0f', total)
  end
  push(fields, field, held, table.concat(line, ' '))
end
"""
)

#: Take in a report without a batch. ARGV: the object, its report.
#:
#: If there is no store it does nothing, because looking at a store must not make one.
REPORT: Final = Script(
    "records writers counters",
    ROLLBACK,
    PUT,
    TAKE_IN,
    """
if redis.call('EXISTS', records, counters) == 0 then return 0 end
local now, fields, totals = redis.call('TIME')[1], {}, {}
local no = take_in(ARGV[1], ARGV[2], now, fields, totals)
if no then return no end
if not redis.call('HGET', counters, 'since') then push(totals, 'since', false, now) end
return put(counters, totals) or put(writers, fields) or 1
""",
)

#: Begin a new interval. ARGV: a token.
#:
#: The counts of the interval that ended are kept: a reset that is sent again with the same token returns them too.
#: It returns the counts; or, as a list, the name of a counter that is damaged, and then nothing was reset.
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
