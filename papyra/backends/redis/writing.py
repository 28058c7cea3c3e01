"""
Scripts that write with more than one command, and take back what they wrote when one is refused.

What must hold of them: whatever takes a write back was tried before that write, so a script that ends
with an error has changed nothing.
"""

from typing import Final

from papyra.backends.redis.scripts import REPORTED, Script

#: Writes that a refusal later in the script takes back: by the right that made them, or by one that
#: was tried before. `undo` holds the commands that do it.
_WRITE: Final = """
local undo = {}
local function refused(reply)
  if type(reply) ~= 'table' or not reply.err then return nil end
  for n = #undo, 1, -1 do redis.call(unpack(undo[n])) end
  return reply
end
"""

#: Set fields of a hash in one command: FIELDS has of each its name, what it holds (or false), and what
#: it is to hold. Where a field is new, taking it back deletes it, so deleting it is tried first. The
#: first write of a script is the only one that a full server refuses, and deleting is none of those:
#: so a malformed HSET goes before it, which changes nothing.
_PUT: Final = """
local function push(list, ...)
  for n = 1, select('#', ...) do list[#list + 1] = (select(n, ...)) end
end
local function put(key, fields)
  if #fields == 0 then return nil end
  local new, old, gone = {'HSET', key}, {'HSET', key}, {'HDEL', key}
  for n = 1, #fields, 3 do
    push(new, fields[n], fields[n + 2])
    if fields[n + 1] then push(old, fields[n], fields[n + 1]) else push(gone, fields[n]) end
  end
  if #gone > 2 then
    if #undo == 0 then
      local reply = redis.pcall('HSET', key, 'a', '1', 'b')
      if not reply.err:find('wrong number', 1, true) then return reply end
    end
    local no = refused(redis.pcall(unpack(gone)))
    if no then return no end
  end
  local no = refused(redis.pcall(unpack(new)))
  if no then return no end
  if #old > 2 then undo[#undo + 1] = old end
  if #gone > 2 then undo[#undo + 1] = gone end
end
"""

#: Work out what an object's nine totals rose since it told them last; nothing is written yet. It sends
#: those that it knows to have been taken in, and those of now; whatever comes twice or late raises nothing.
_TAKE_IN: Final = (
    "local told = {"
    + ", ".join(f"'{name}'" for name in REPORTED)
    + """}
local function take_in(object, report, now, fields, totals)
  if report == '' then return nil end
  local field, known, sent, line = object .. ':counts', {}, {}, {now}
  local held = redis.call('HGET', writers, field)
  for n in (held or ''):gmatch('%d+') do known[#known + 1] = tonumber(n) end
  for n in report:gmatch('%d+') do sent[#sent + 1] = tonumber(n) end
  for i, name in ipairs(told) do
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

#: What `APPEND` returns is the sum of these. 0: the writer's numbers are those of other records.
STORED: Final = 4
HAD: Final = 2
TAKEN_IN: Final = 1

#: ARGV: writer, number of its last line, object, report, lines. It stores the lines, unless
#: they are there already, and takes the report in if it stores them. Whatever may be refused comes
#: before the lines; of these only the first may be, unless the stream runs out of ids. Most batches
#: bring no report and set no new field: they do without the functions for these.
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
    _WRITE,
    """
if seen and since and report == '' then
  no = refused(redis.pcall('HSET', writers, writer, line))
  if no then return no end
  undo[1] = {'HSET', writers, writer, seen}
else
""",
    _PUT,
    _TAKE_IN,
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

#: ARGV: object, report. Where there is no store nothing is told: looking makes none.
REPORT: Final = Script(
    "records writers counters",
    _WRITE,
    _PUT,
    _TAKE_IN,
    """
if redis.call('EXISTS', records, counters) == 0 then return 0 end
local now, fields, totals = redis.call('TIME')[1], {}, {}
local no = take_in(ARGV[1], ARGV[2], now, fields, totals)
if no then return no end
if not redis.call('HGET', counters, 'since') then push(totals, 'since', false, now) end
return put(counters, totals) or put(writers, fields) or 1
""",
)

#: ARGV: entry, recovery ("" if nothing is to be saved), anomaly, bytes that are damaged, as reports count
#: them, lines that take its place. A full
#: server would let the deletions pass that are tried first: so a malformed XADD goes before them.
MOVE: Final = Script(
    "records quarantine",
    _WRITE,
    """
local entry = redis.call('XRANGE', records, ARGV[1], ARGV[1])[1]
if not entry then return 0 end
local function add(key, ...)
  local id = redis.pcall('XADD', key, '*', ...)
  local no = refused(id)
  if not no then undo[#undo + 1] = {'XDEL', key, id} end
  return no
end
if ARGV[2] ~= '' or #ARGV > 4 then
  local reply = redis.pcall('XADD', records, '0-0', 'line', '')
  if not reply.err:find('greater than 0-0', 1, true) then return reply end
end
for _, key in ipairs(ARGV[2] == '' and {records} or {records, quarantine}) do
  local no = refused(redis.pcall('XDEL', key, '0-0'))
  if no then return no end
end
for i = 5, #ARGV do
  local no = add(records, 'line', ARGV[i])
  if no then return no end
end
if ARGV[2] ~= '' then
  local fields = entry[2]
  if #fields > 1000 then fields = {'packed', cmsgpack.pack(fields)} end
  local no = add(quarantine, 'recovery', ARGV[2], 'entry', ARGV[1], 'anomaly', ARGV[3], 'bytes', ARGV[4], unpack(fields))
  if no then return no end
end
redis.call('XDEL', records, ARGV[1])
return 1
""",
)
