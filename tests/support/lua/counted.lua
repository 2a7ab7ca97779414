-- Sends a given number of requests from each thread, then falls silent.
--
-- Words: batches a thread may send, method, path, body bytes, requests in a batch. NUMBER in the path becomes one that
-- no other request has. wrk asks delay() before each batch, which is where permits are handed out.

local threads = 0

function setup(thread)
  threads = threads + 1
  thread:set("thread_number", threads)
end

function init(words)
  permits = tonumber(words[1])
  method = words[2]
  path = words[3]
  body = string.rep("u", tonumber(words[4]))
  depth = tonumber(words[5])
  sent = 0
end

local function one()
  sent = sent + 1
  local target = path:gsub("NUMBER", thread_number .. "-" .. sent)
  return wrk.format(method, target, {["Host"] = "localhost"}, body ~= "" and body or nil)
end

function request()
  local batch = {}
  for place = 1, depth do
    batch[place] = one()
  end
  return table.concat(batch)
end

function delay()
  if permits > 0 then
    permits = permits - 1
    return 0
  end
  return 3600000
end
