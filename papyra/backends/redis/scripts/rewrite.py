"""Move entries to the quarantine, drop them, and forget writers."""

from typing import Final

from papyra.backends.redis.scripts.rollback import ROLLBACK
from papyra.backends.redis.scripts.script import Script

#: Move an entry to the quarantine, and append the intact lines that were in it.
#:
#: ARGV: the entry, the recovery ("" if nothing is to be saved), and the anomaly. Then the number of damaged bytes
#: as reports count them, and the lines that take the entry's place.
#:
#: A full server would still allow the deletions that are tried first, so a malformed XADD goes before them.
MOVE: Final = Script(
    "records quarantine",
    ROLLBACK,
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

#: Drop entries. ARGV: the first entry, the last one, and how many to delete at most in this step.
DROP: Final = Script(
    "records",
    """
local ids = {}
for i, entry in ipairs(redis.call('XRANGE', records, ARGV[1], ARGV[2], 'COUNT', ARGV[3])) do ids[i] = entry[1] end
if #ids > 0 then redis.call('XDEL', records, unpack(ids)) end
return #ids
""",
)

#: Forget writers, except those that wrote since. ARGV: pairs of a writer and of what is known of it.
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
