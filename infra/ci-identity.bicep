// Run once, by an owner of the resource group: an identity without password for the pipeline of one GitHub environment.
import { roles } from 'roles.bicep'

@description('GitHub repository as owner/name.')
@minLength(3)
param repository string

@description('GitHub environment whose jobs may deploy; protect it with reviewers.')
@minLength(1)
param githubEnvironment string = 'production'

param location string = resourceGroup().location

var contributor = 'b24988ac-6180-42a0-ab88-20f7382dd24c'
var accessAdministrator = 'f58310d9-a9f6-439a-9e8d-f62e7b41a168'
var assignable = join(map(items(roles), each => each.value), ', ')
var write = '(!(ActionMatches{\'Microsoft.Authorization/roleAssignments/write\'})) OR (@Request[Microsoft.Authorization/roleAssignments:RoleDefinitionId] ForAnyOfAnyValues:GuidEquals {${assignable}})'
var delete = '(!(ActionMatches{\'Microsoft.Authorization/roleAssignments/delete\'})) OR (@Resource[Microsoft.Authorization/roleAssignments:RoleDefinitionId] ForAnyOfAnyValues:GuidEquals {${assignable}})'

resource ci 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' = {
  name: 'id-github-${githubEnvironment}'
  location: location
}

resource github 'Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials@2024-11-30' = {
  parent: ci
  name: 'github-${githubEnvironment}'
  properties: {
    issuer: 'https://token.actions.githubusercontent.com'
    subject: 'repo:${repository}:environment:${githubEnvironment}'
    audiences: ['api://AzureADTokenExchange']
  }
}

resource provision 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: resourceGroup()
  name: guid(resourceGroup().id, ci.id, contributor)
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', contributor)
    principalId: ci.properties.principalId
    principalType: 'ServicePrincipal'
  }
}

// It may assign only the roles that main.bicep assigns: not Owner, and not to itself more than it has.
resource assign 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: resourceGroup()
  name: guid(resourceGroup().id, ci.id, accessAdministrator)
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', accessAdministrator)
    principalId: ci.properties.principalId
    principalType: 'ServicePrincipal'
    condition: '(${write}) AND (${delete})'
    conditionVersion: '2.0'
  }
}

@description('AZURE_CLIENT_ID of the GitHub environment.')
output clientId string = ci.properties.clientId
