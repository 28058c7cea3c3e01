"""
Undo the writes of a script in which the server refuses a later command.

A script tries each command that undoes a write before the write itself. So a script that ends with an error has
changed nothing.
"""

from typing import Final

#: Undo what the script wrote if *reply* is a refusal, and return it. `undo` holds the commands for that.
#:
#: Each of these commands needs only a right that made the write, or that was tried before.
ROLLBACK: Final = """
local undo = {}
local function refused(reply)
  if type(reply) ~= 'table' or not reply.err then return nil end
  for n = #undo, 1, -1 do redis.call(unpack(undo[n])) end
  return reply
end
"""

#: Set fields of a hash in one command. FIELDS has three items for each: its name, its value (or false), the new value.
#:
#: A new field is undone by a deletion, so the deletion is tried first. A full server refuses the first write of a
#: script only, and does not count a deletion as one. So a malformed HSET, which changes nothing, goes before it.
PUT: Final = """
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
