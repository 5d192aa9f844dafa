import { roles } from 'roles.bicep'

targetScope = 'resourceGroup'

@description('Short name of this environment, such as prod; part of the resource names.')
@minLength(2)
@maxLength(16)
param environmentName string

@description('Azure region of all resources; it must offer Flex Consumption.')
param location string = resourceGroup().location

@description('Who gets the alerts.')
@minLength(6)
param alertEmail string

@description('Application (client) id of the Entra app registration that signs people in. Empty: no sign-in, function keys only.')
param consoleClientId string = ''

@description('Whether the app may write secrets (through its API, renewed refresh tokens, and the key that it signs with) or only read them.')
param allowSecretWrites bool = false

@description('true: storage and vault are reachable over private endpoints only. false: from anywhere, guarded by identity.')
param isolateNetwork bool = false

@description('NCRONTAB in UTC: how often due mailboxes are looked for; a mailbox cannot be polled more often than this.')
@minLength(11)
param pollSchedule string = '0 * * * * *'

@description('NCRONTAB in UTC: when what is past its retention is removed.')
@minLength(11)
param retentionSchedule string = '0 30 2 * * *'

@description('Memory of one instance. One runs 12 polls at once (host.json), each within 150 MB: 2048 carries that. 512 costs a quarter and is enough for a few mailboxes of small mail.')
@allowed([512, 2048, 4096])
param instanceMemoryMB int = 2048

@description('Upper limit of instances, against runaway cost. 40, the least that the platform takes, already poll 480 mailboxes at once.')
@minValue(40)
@maxValue(1000)
param maximumInstanceCount int = 40

@description('Days until the raw bytes of larger messages, and with them their attachments, are deleted.')
@minValue(30)
@maxValue(36500)
param rawMailRetentionDays int = 730

@description('Days until logs are deleted.')
@minValue(30)
@maxValue(730)
param logRetentionDays int = 90

@description('Most log data per day, against runaway cost: about 1 GB for every 700 mailboxes polled each 5 minutes. Beyond it the alerts are blind, and polling-stopped fires.')
@minValue(1)
@maxValue(100)
param dailyLogCapGB int = 2

@description('Copies of stored data: in three zones, or in one data centre where the region has no zones.')
@allowed(['Standard_ZRS', 'Standard_LRS'])
param storageRedundancy string = 'Standard_ZRS'

@description('Root of Microsoft Graph for the mailboxes; another one for national clouds.')
@allowed([
  'https://graph.microsoft.com'
  'https://graph.microsoft.us'
  'https://dod-graph.microsoft.us'
  'https://microsoftgraph.chinacloudapi.cn'
])
param graphEndpoint string = 'https://graph.microsoft.com'

@description('Entra ID for the mailboxes; another one for national clouds.')
param loginEndpoint string = environment().authentication.loginEndpoint

@description('PEM file within the package with certificate authorities to trust beside the public ones. Empty: none.')
param extraCaFile string = ''

var suffix = uniqueString(resourceGroup().id, environmentName)
var tags = {
  'azd-env-name': environmentName
}
var deploymentContainer = 'deployments'
var publicNetworkAccess = isolateNetwork ? 'Disabled' : 'Enabled'
var endpointSubnetId = isolateNetwork ? network!.outputs.endpointSubnetId : ''
var zoneIds = isolateNetwork ? network!.outputs.zoneIds : {}

resource identity 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' = {
  name: 'id-mailroom-${environmentName}-${suffix}'
  location: location
  tags: tags
}

module network 'modules/network.bicep' = if (isolateNetwork) {
  name: 'network'
  params: {
    location: location
    tags: tags
    name: 'vnet-mailroom-${environmentName}-${suffix}'
  }
}

module monitoring 'modules/monitoring.bicep' = {
  name: 'monitoring'
  params: {
    location: location
    tags: tags
    nameSuffix: '${environmentName}-${suffix}'
    retentionDays: logRetentionDays
    dailyCapGB: dailyLogCapGB
    publisherPrincipalId: identity.properties.principalId
  }
}

// Two accounts: the right to overwrite the code and the host's keys does not ride with customer data.
module hostStorage 'modules/storage.bicep' = {
  name: 'host-storage'
  params: {
    location: location
    tags: tags
    name: take('sthost${suffix}', 24)
    redundancy: storageRedundancy
    containers: [deploymentContainer]
    principalId: identity.properties.principalId
    roleIds: [roles.blobDataOwner] // host keys, locks of timers, the package itself
    publicNetworkAccess: publicNetworkAccess
    endpointSubnetId: endpointSubnetId
    zoneIds: zoneIds
  }
}

module dataStorage 'modules/storage.bicep' = {
  name: 'data-storage'
  params: {
    location: location
    tags: tags
    name: take('stdata${suffix}', 24)
    redundancy: storageRedundancy
    containers: ['raw-mail']
    tables: ['tickets', 'mailboxes', 'senders', 'schedule', 'signins', 'contacts', 'audit']
    queues: ['polls', 'polls-poison', 'deliveries', 'deliveries-poison']
    expiringContainer: 'raw-mail'
    expireAfterDays: rawMailRetentionDays
    principalId: identity.properties.principalId
    roleIds: [roles.blobDataContributor, roles.tableDataContributor, roles.queueDataContributor]
    publicNetworkAccess: publicNetworkAccess
    endpointSubnetId: endpointSubnetId
    zoneIds: zoneIds
    auditWorkspaceId: monitoring.outputs.workspaceId
  }
}

module vault 'modules/key-vault.bicep' = {
  name: 'key-vault'
  params: {
    location: location
    tags: tags
    name: take('kv-${suffix}', 24)
    principalId: identity.properties.principalId
    roleId: allowSecretWrites ? roles.secretsOfficer : roles.secretsUser
    publicNetworkAccess: publicNetworkAccess
    endpointSubnetId: endpointSubnetId
    zoneIds: zoneIds
    auditWorkspaceId: monitoring.outputs.workspaceId
  }
}

module app 'modules/function-app.bicep' = {
  name: 'function-app'
  params: {
    location: location
    tags: tags
    name: 'func-mailroom-${environmentName}-${suffix}'
    identityId: identity.id
    identityClientId: identity.properties.clientId
    instanceMemoryMB: instanceMemoryMB
    maximumInstanceCount: maximumInstanceCount
    hostBlobEndpoint: hostStorage.outputs.blobEndpoint
    deploymentContainer: deploymentContainer
    insightsConnectionString: monitoring.outputs.connectionString
    subnetId: isolateNetwork ? network!.outputs.appSubnetId : null
    consoleClientId: consoleClientId
    settings: {
      DATA_STORAGE__tableServiceUri: dataStorage.outputs.tableEndpoint
      DATA_STORAGE__blobServiceUri: dataStorage.outputs.blobEndpoint
      DATA_STORAGE__queueServiceUri: dataStorage.outputs.queueEndpoint
      DATA_STORAGE__credential: 'managedidentity'
      DATA_STORAGE__clientId: identity.properties.clientId
      KEY_VAULT_URI: vault.outputs.uri
      POLL_SCHEDULE: pollSchedule
      RETENTION_SCHEDULE: retentionSchedule
      LOGIN_ENDPOINT: loginEndpoint
      GRAPH_ENDPOINT: graphEndpoint
      EXTRA_CA_FILE: extraCaFile
      ALLOW_SECRET_WRITES: string(allowSecretWrites)
    }
  }
}

module alerts 'modules/alerts.bicep' = {
  name: 'alerts'
  params: {
    location: location
    tags: tags
    nameSuffix: '${environmentName}-${suffix}'
    workspaceId: monitoring.outputs.workspaceId
    email: alertEmail
  }
}

@description('For `az functionapp deployment source config-zip` and `az functionapp keys list`.')
output AZURE_FUNCTION_NAME string = app.outputs.name

@description('Where the API answers.')
output MAILROOM_URL string = app.outputs.url

@description('Where the secrets of mailboxes are put.')
output KEY_VAULT_NAME string = vault.outputs.name

@description('Subject of a federated credential on an app registration, for mailboxes and sign-in without any secret.')
output APP_PRINCIPAL_ID string = identity.properties.principalId
