// docs/runbook.md says for each alert what it means and what to do.
param location string
param tags object
param nameSuffix string
param workspaceId string
param email string

// An event of Mailroom is one JSON line, which may be preceded by what a logger puts before it.
var events = '''
AppTraces
| extend e = parse_json(extract(@'\{.*\}', 0, Message))
| extend event = tostring(e.event), mailbox = tostring(e.mailbox)
'''

// Each query returns one row per problem; the rule fires while there is any.
var rules = [
  {
    name: 'message-quarantined'
    severity: 1
    window: 'PT15M'
    query: '''
| where event == 'message.quarantined'
| summarize messages = count() by mailbox
'''
  }
  {
    // A day, because a mailbox that keeps failing is polled ever less often: the last word on each mailbox counts.
    name: 'mailbox-failing'
    severity: 2
    window: 'P1D'
    query: '''
| where event in ('mailbox.failing', 'poll.finished')
| summarize arg_max(TimeGenerated, event) by mailbox
| where event == 'mailbox.failing'
'''
  }
  {
    // What the host knows of failed invocations, and what the app says of itself. Refused requests (4xx) are no failure.
    name: 'function-failures'
    severity: 2
    window: 'PT15M'
    query: '''
| where event in ('settings.invalid', 'request.failed', 'poll.counts_wrong')
| project what = event
| union isfuzzy=true
  (AppRequests | where Success == false and ResultCode !startswith '4' | project what = OperationName),
  (AppExceptions | project what = coalesce(OperationName, ProblemId))
| summarize failures = count() by what
| where failures > 3
'''
  }
  {
    // Silence: timers can stop without one error being logged. Either no tick came, or what was due was never polled.
    name: 'polling-stopped'
    severity: 1
    window: 'PT30M'
    query: '''
| summarize
    ticks = countif(event == 'polls.scheduled'),
    due = sumif(toint(e.due), event == 'polls.scheduled' and TimeGenerated < ago(10m)),
    polls = countif(event in ('poll.finished', 'poll.failed', 'poll.gave_way'))
| where ticks == 0 or (due > 0 and polls == 0)
'''
  }
]

resource oncall 'Microsoft.Insights/actionGroups@2023-01-01' = {
  name: 'ag-mailroom-${nameSuffix}'
  location: 'global'
  tags: tags
  properties: {
    groupShortName: 'mailroom'
    enabled: true
    emailReceivers: [
      {
        name: 'oncall'
        emailAddress: email
        useCommonAlertSchema: true
      }
    ]
  }
}

resource rule 'Microsoft.Insights/scheduledQueryRules@2023-12-01' = [
  for each in rules: {
    name: 'alert-${each.name}-${nameSuffix}'
    location: location
    tags: tags
    kind: 'LogAlert'
    properties: {
      displayName: 'Mailroom: ${each.name}'
      severity: each.severity
      enabled: true
      scopes: [workspaceId]
      evaluationFrequency: 'PT5M'
      windowSize: each.window
      autoMitigate: true
      skipQueryValidation: true // the tables do not exist before the first telemetry
      criteria: {
        allOf: [
          {
            query: '${events}${each.query}'
            timeAggregation: 'Count'
            operator: 'GreaterThan'
            threshold: 0
            failingPeriods: {
              numberOfEvaluationPeriods: 1
              minFailingPeriodsToAlert: 1
            }
          }
        ]
      }
      actions: {
        actionGroups: [oncall.id]
      }
    }
  }
]
